import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageDir } from "../../platform/project";

const folder = mkdtempSync(join(tmpdir(), "gpubox-shared-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a process of unit tests that begins late gets its work like the first", () => {
  // Time for the first one to have its own.
  const late = `if (process.env.TINYPOOL_WORKER_ID === "2")
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);`;
  writeFileSync(join(folder, "late.cjs"), late);
  const jest = join(packageDir, "node_modules/jest/bin/jest.js");
  const files = ["--testPathPatterns", "unit/tools/(limits|sleeps)"];
  const { status, stderr } = spawnSync(
    process.execPath,
    [jest, "--selectProjects", "unit", "--maxWorkers=2", ...files],
    {
      cwd: packageDir,
      env: { ...process.env, NODE_OPTIONS: `--require ${join(folder, "late.cjs")}` },
      encoding: "utf8",
      timeout: 50_000,
    },
  );
  expect(stderr).toContain("Test Suites: 2 passed, 2 total");
  expect(status).toBe(0);
});
