import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesAgain, withAgain } from "../../../tools/test/again";
import { type FileResult, type JestReport, lines, readWants, summarize } from "../../../tools/test/report";
import { lanesOf, stagesOf } from "../../../tools/test/tiers";

/** A test of a report: its status, or how often it was tried until it passed. */
const file = (name: string, seconds: number, tests: Record<string, string | number>): FileResult => ({
  name: `/root/test/${name}`,
  status: Object.values(tests).includes("failed") ? "failed" : "passed",
  startTime: 1000,
  endTime: 1000 + seconds * 1000,
  assertionResults: Object.entries(tests).map(([fullName, how]) =>
    typeof how === "number"
      ? { fullName, status: "passed", invocations: how }
      : { fullName, status: how, invocations: 1 },
  ),
});

const report = (...testResults: FileResult[]): JestReport => ({ wasInterrupted: false, testResults });

const summed = (reports: JestReport[], wants = "", checks: { name: string; passed: boolean }[] = []) =>
  summarize(reports, readWants(wants), checks, "/root");

test("a run's last line counts tests of all stages and the checks beside them, and names the checks that failed", () => {
  const checks = [
    { name: "npm run lint", passed: true },
    { name: "npm run typecheck", passed: false },
  ];
  const summary = summed(
    [
      report(file("a.test.ts", 1, { one: 1, two: "failed" })),
      report(file("b.test.ts", 1, { three: "pending" })),
    ],
    "",
    checks,
  );
  const told = lines(summary, checks);
  expect(told.at(-1)).toBe("2 passed, 2 failed, 1 skipped");
  expect(told).toContain("  npm run typecheck");
  expect(told).not.toContain("  npm run lint");
});

test("the ten slowest files are told, the longest first", () => {
  const files = Array.from({ length: 12 }, (_, index) => file(`${index}.test.ts`, index, {}));
  const { slowest } = summed([report(...files)]);
  expect(slowest).toHaveLength(10);
  expect(slowest[0]).toEqual({ file: "test/11.test.ts", seconds: 11 });
  expect(lines(summed([report(...files)]), [])).toContain("     11.0 s  test/11.test.ts");
});

test.each([
  [3, 0],
  [4, 1],
])("%i tests that needed another try are named, and %i more failure is counted", (tries, failed) => {
  const tests = Object.fromEntries(Array.from({ length: tries }, (_, index) => [`late ${index}`, 2]));
  const summary = summed([report(file("a.test.ts", 1, { ...tests, well: 1 }))]);
  expect([summary.passed, summary.failed]).toEqual([tries + 1, failed]);
  const told = lines(summary, []).join("\n");
  expect(told).toContain("  late 0\n");
  expect(told).not.toContain("  well");
  expect(told.includes("This run fails: it needed more tries than that.")).toBe(failed === 1);
});

test("a file that could not be run is a failure", () => {
  expect(summed([report({ ...file("a.test.ts", 1, {}), status: "failed" })]).failed).toBe(1);
});

describe("a file that failed", () => {
  const e2e = { projects: ["e2e"], lanes: 3 };
  const bad = file("e2e/a.test.ts", 9, { one: 1, two: "failed", three: "pending" });

  test("runs once more, unless more of them failed than a run may try again", () => {
    const failed = (count: number) =>
      report(
        file("ok.test.ts", 1, { one: 1 }),
        ...Array.from({ length: count }, (_, n) => ({ ...bad, name: `${n}` })),
      );
    expect(filesAgain(e2e, failed(3))).toEqual(["0", "1", "2"]);
    expect(filesAgain(e2e, failed(4))).toEqual([]);
    expect(filesAgain({ projects: ["unit", "component"], lanes: 2 }, failed(1))).toEqual([]);
  });

  test.each(["load/short.test.ts", "e2e/attack.test.ts"])(
    "does not where %s claims that nothing is lost",
    (name) => {
      expect(filesAgain(e2e, report(file(name, 1, { one: "failed" })))).toEqual([]);
    },
  );

  test("counts as it ended then, and as one that was tried twice", () => {
    const later = file("e2e/a.test.ts", 4, { one: 1, two: 1, three: "pending" });
    const summary = summed([withAgain(report(bad), report(later))]);
    expect(summary).toMatchObject({
      passed: 2,
      failed: 0,
      skipped: 1,
      retried: ["test/e2e/a.test.ts, as a whole"],
    });
  });

  test.each([
    ["fails again", { one: "failed", two: 1, three: "pending" }],
    ["began too late", { one: "pending", two: "pending", three: "pending" }],
  ])("stays a failure where it %s", (_, tests) => {
    const summary = summed([withAgain(report(bad), report(file("e2e/a.test.ts", 4, tests)))]);
    expect(summary).toMatchObject({ passed: 1, failed: 1, skipped: 1, retried: [] });
  });
});

test("skipped tests are told under what they want, and those of a file that says nothing are not lost", () => {
  const want = (name: string, why: string) => JSON.stringify({ file: `/root/test/${name}`, why });
  const summary = summed(
    [
      report(
        file("a.test.ts", 1, { one: "pending", two: 1 }),
        file("b.test.ts", 1, { three: "pending" }),
        file("c.test.ts", 1, { four: "pending" }),
        file("d.test.ts", 1, { five: 1 }),
      ),
    ],
    [
      want("a.test.ts", "restic"),
      want("a.test.ts", "restic"),
      want("b.test.ts", "restic"),
      want("d.test.ts", "x"),
    ]
      .map((line) => `${line}\n`)
      .join(""),
  );
  expect(summary.wants).toEqual([
    { why: "restic", tests: ["one", "three"] },
    { why: "something that its file does not name", tests: ["four"] },
  ]);
  expect(lines(summary, [])).toContain("SKIPPED for want of restic, so not shown to work on this machine:");
});

test.each([
  [{ cores: 1, gib: 16 }, 1],
  [{ cores: 2, gib: 16 }, 2],
  [{ cores: 4, gib: 32 }, 4],
  [{ cores: 16, gib: 64 }, 6],
  [{ cores: 16, gib: 9 }, 2],
  [{ cores: 2, gib: 3 }, 1],
])("a machine with %j runs %i files with a box at once", (machine, lanes) => {
  expect(lanesOf(machine)).toBe(lanes);
});

test("the fast tier needs no box, and every claim is in the one that runs by default", () => {
  const machine = { cores: 2, gib: 16 };
  const projects = (tier: "fast" | "all" | "soak") => stagesOf(tier, machine).flatMap((one) => one.projects);
  const quick = ["unit", "component", "contract", "own-modules"];
  expect(projects("fast")).toEqual(quick);
  expect(projects("all")).toEqual([...quick, "e2e"]);
  expect(projects("soak")).toContain("soak");
  expect(stagesOf("all", machine, 5).map(({ lanes }) => lanes)).toEqual([2, 4, 5]);
});

describe("a file and the run's deadline", () => {
  const { GPUBOX_TEST_DEADLINE, GPUBOX_TEST_SKIPS } = process.env;
  afterEach(() => {
    for (const [name, value] of Object.entries({ GPUBOX_TEST_DEADLINE, GPUBOX_TEST_SKIPS }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });

  /** What becomes of a file with one test in a block and one beside it, and what the run is told. */
  async function begun(deadline: string | undefined) {
    const folder = mkdtempSync(join(tmpdir(), "gpubox-deadline-"));
    process.env.GPUBOX_TEST_SKIPS = join(folder, "skips");
    if (deadline === undefined) delete process.env.GPUBOX_TEST_DEADLINE;
    else process.env.GPUBOX_TEST_DEADLINE = deadline;
    const Environment = require("../../support/deadline.cjs");
    const environment = Object.assign(Object.create(Environment.prototype), { file: "some.test.ts" });
    const inner = { type: "test", mode: undefined };
    const block = { type: "describeBlock", mode: undefined, children: [inner] };
    const beside = { type: "test", mode: undefined };
    const rootDescribeBlock = { type: "describeBlock", mode: undefined, children: [block, beside] };
    await environment.handleTestEvent({ name: "run_start" }, { rootDescribeBlock });
    const told = existsSync(process.env.GPUBOX_TEST_SKIPS)
      ? readWants(readFileSync(process.env.GPUBOX_TEST_SKIPS, "utf8"))
      : [];
    rmSync(folder, { recursive: true });
    return { modes: [rootDescribeBlock, block, inner, beside].map(({ mode }) => mode), told };
  }

  test("after it, every test is skipped for want of time", async () => {
    expect(await begun("1")).toEqual({
      modes: ["skip", "skip", "skip", "skip"],
      told: [{ file: "some.test.ts", why: "time" }],
    });
  });

  test.each([
    ["without one", undefined],
    ["before it", String(Date.now() / 1000 + 3600)],
  ])("runs %s", async (_, deadline) => {
    expect(await begun(deadline)).toEqual({ modes: Array(4).fill(undefined), told: [] });
  });
});
