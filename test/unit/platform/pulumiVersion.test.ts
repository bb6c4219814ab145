import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectPaths } from "../../../platform/project";
import { pulumiVersion } from "../../../platform/pulumi/version";

let dir: string;
let program: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-version-"));
  program = join(dir, "pulumi");
  mkdirSync(projectPaths(dir).root);
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A program that answers with a version and counts how often it is asked. */
function place(version: string): void {
  writeFileSync(program, `#!/bin/sh\necho asked >> ${dir}/asked\necho v${version}\n`);
  chmodSync(program, 0o755);
}
const asked = () => readFileSync(join(dir, "asked"), "utf8").trim().split("\n").length;

test("an engine is asked for its version once, until its file changes", async () => {
  place("3.259.0");
  expect(await pulumiVersion(dir, program)).toBe("3.259.0");
  expect(await pulumiVersion(dir, program)).toBe("3.259.0");
  expect(asked()).toBe(1);
  place("3.260.10");
  expect(await pulumiVersion(dir, program)).toBe("3.260.10");
  expect(asked()).toBe(2);
});

test.each(["", "{", "[]", '{"file":1}'])(
  "a note of the last answer that reads %j is no answer",
  async (text) => {
    place("3.259.0");
    writeFileSync(projectPaths(dir).pulumiVersion, text);
    expect(await pulumiVersion(dir, program)).toBe("3.259.0");
    expect(asked()).toBe(1);
  },
);

test("a verb that only reads makes no folder for it", async () => {
  place("3.259.0");
  rmSync(projectPaths(dir).root, { recursive: true });
  await pulumiVersion(dir, program);
  await pulumiVersion(dir, program);
  expect(asked()).toBe(2);
});

test("a program that is not there or does not run has no version", async () => {
  expect(await pulumiVersion(dir, program)).toBeUndefined();
  writeFileSync(program, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
  expect(await pulumiVersion(dir, program)).toBeUndefined();
});
