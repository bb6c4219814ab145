// CI ends a run after a fixed time. One that leaves out its last files, counted and by name, tells more than one that is killed.
require("./endsWithRun.cjs");
const { appendFileSync } = require("node:fs");
const { TestEnvironment } = require("jest-environment-node");

/** Node's environment; a file that begins after GPUBOX_TEST_DEADLINE, in seconds since 1970, skips all its tests. */
module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.file = context.testPath;
  }

  async handleTestEvent({ name }, { rootDescribeBlock }) {
    const deadline = Number(process.env.GPUBOX_TEST_DEADLINE ?? Number.POSITIVE_INFINITY);
    if (name !== "run_start" || Date.now() / 1000 < deadline) return;
    leaveOut(rootDescribeBlock);
    // As `sayMissing` of needs.ts does.
    const skips = process.env.GPUBOX_TEST_SKIPS;
    if (skips) appendFileSync(skips, `${JSON.stringify({ file: this.file, why: "time" })}\n`);
  }
};

function leaveOut(block) {
  block.mode = "skip";
  for (const child of block.children) {
    child.mode = "skip";
    if (child.type === "describeBlock") leaveOut(child);
  }
}
