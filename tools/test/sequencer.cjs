const { relative } = require("node:path");
const Sequencer = require("@jest/test-sequencer").default;
const SECONDS = require("./seconds.json");

/** Longest first, so that no long file begins when all others are done: by the last run here, else by the committed table. */
module.exports = class extends Sequencer {
  sort(tests) {
    // Jest fills in what it remembers of the last run.
    const known = super.sort(tests);
    return known.sort((a, b) => millisecondsOf(b) - millisecondsOf(a));
  }
};

function millisecondsOf({ path, context, duration }) {
  return duration ?? 1000 * (SECONDS[relative(context.config.rootDir, path)] ?? 1);
}
