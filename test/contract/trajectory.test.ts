import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CounterRecord, counterSchema, lineSchema } from "../../operations/trajectory/line";
import { orSkip } from "../support/needs";
import { pythonTests, testPython } from "../support/python";

const found = testPython();
const why = "missing" in found ? `a Python for tests (${found.missing})` : "";

const python = (...args: string[]) =>
  spawnSync("python" in found ? found.python : "", args, {
    cwd: pythonTests,
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });

// Before the tests are known, so that each of pytest's is one here.
const pytest =
  "python" in found ? python("-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", "--tb=short") : undefined;
const results = [...(pytest?.stdout ?? "").matchAll(/^(PASSED|FAILED|ERROR|SKIPPED) (\S+.*)$/gm)].map(
  ([, status, name]) => ({ status: status!, name: name! }),
);

describe("the trajectory log's writer", () => {
  for (const { status, name } of results)
    orSkip(test, status === "SKIPPED" ? "what pytest names" : "")(name, () => {
      expect(status === "PASSED" ? "" : pytest?.stdout).toBe("");
    });

  orSkip(test, why)("has tests, and none of them is lost on the way here", () => {
    const counted = /^(\d+) passed(?:, (\d+) skipped)? in /m.exec(pytest?.stdout ?? "");
    expect([counted && Number(counted[1]), pytest?.status, pytest?.stderr]).toEqual([
      results.filter(({ status }) => status === "PASSED").length,
      0,
      "",
    ]);
    expect(results.length).toBeGreaterThan(50);
  });

  orSkip(test, why)("writes what the schema says, and everything that it says", () => {
    const folder = mkdtempSync(join(tmpdir(), "gpubox-samples-"));
    const { stdout, stderr } = python("samples.py", folder);
    rmSync(folder, { recursive: true });
    expect(stderr).not.toContain("Traceback");
    const samples = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { kind: "line" | "counter"; value: Record<string, unknown> });
    const wrong = samples.flatMap(({ kind, value }) => {
      const { error } = (kind === "line" ? lineSchema : counterSchema).safeParse(value);
      return error ? [{ value, issues: error.issues }] : [];
    });
    expect(wrong).toEqual([]);

    const lines = samples.filter(({ kind }) => kind === "line").map(({ value }) => value);
    for (const key of Object.keys(lineSchema.shape)) {
      const values = lines.map((line) => line[key]);
      // Also what may be null is something in one of them.
      expect({ [key]: values.some((value) => value !== null && value !== undefined) }).toEqual({
        [key]: key !== "job" && key !== "generation" && key !== "session_id",
      });
    }
    const kinds = new Set(
      samples
        .filter(({ kind }) => kind === "counter")
        .map(({ value }) => value.kind as CounterRecord["kind"]),
    );
    expect([...kinds].sort()).toEqual(counterSchema.options.map(({ shape }) => shape.kind.value).sort());
  });
});
