import { relative } from "node:path";
import { z } from "zod";

/** How many tests of a run may need a second try. */
export const RETRIES = 3;
const SLOWEST = 10;

/** What is read of Jest's report. */
export const jestReport = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  numRuntimeErrorTestSuites: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      startTime: z.number(),
      endTime: z.number(),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), invocations: z.number().nullish() }),
      ),
    }),
  ),
});

export type JestReport = z.infer<typeof jestReport>;

/** What a test file said that it lacks. */
export interface Want {
  file: string;
  why: string;
}

/** A check beside Jest: lint, types. */
export interface Check {
  name: string;
  passed: boolean;
}

export interface Summary {
  passed: number;
  failed: number;
  skipped: number;
  /** Files and their seconds, the longest first. */
  slowest: { file: string; seconds: number }[];
  /** Tests that passed only at a later try. */
  retried: string[];
  /** What is missing, and the tests that were skipped for want of it. */
  wants: { why: string; tests: string[] }[];
}

/** Reads the lines that test files wrote with `sayMissing`. */
export function readWants(text: string): Want[] {
  const line = z.object({ file: z.string(), why: z.string() });
  return text
    .split("\n")
    .filter(Boolean)
    .map((one) => line.parse(JSON.parse(one)));
}

/** Sums a run up. `root` is what paths are told from. */
export function summarize(reports: JestReport[], wants: Want[], checks: Check[], root: string): Summary {
  const sum = (count: (one: JestReport) => number) => reports.reduce((total, one) => total + count(one), 0);
  const files = reports.flatMap((one) => one.testResults);
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const retried = tests
    .filter(({ status, invocations }) => status === "passed" && (invocations ?? 1) > 1)
    .map(({ fullName }) => fullName);
  const bad = checks.filter(({ passed }) => !passed).length;
  return {
    passed: sum((one) => one.numPassedTests) + checks.length - bad,
    failed:
      sum((one) => one.numFailedTests + one.numRuntimeErrorTestSuites) +
      bad +
      (retried.length > RETRIES ? 1 : 0),
    skipped: sum((one) => one.numPendingTests + one.numTodoTests),
    slowest: files
      .map(({ name, startTime, endTime }) => ({
        file: relative(root, name),
        seconds: Math.round((endTime - startTime) / 100) / 10,
      }))
      .sort((a, b) => b.seconds - a.seconds)
      .slice(0, SLOWEST),
    retried,
    wants: byWant(files, wants),
  };
}

function byWant(files: JestReport["testResults"], wants: Want[]): Summary["wants"] {
  const found = new Map<string, string[]>();
  for (const { name, assertionResults } of files) {
    const skipped = assertionResults.filter(({ status }) => status === "pending");
    if (skipped.length === 0) continue;
    const said = wants.filter(({ file }) => file === name).map(({ why }) => why);
    const why = said.length > 0 ? [...new Set(said)].join("; ") : "something that its file does not name";
    found.set(why, [...(found.get(why) ?? []), ...skipped.map(({ fullName }) => fullName)]);
  }
  return [...found].map(([why, tests]) => ({ why, tests }));
}

/** The lines that people read at the end of a run; the last one is the counts. */
export function lines(
  { slowest, retried, wants, passed, failed, skipped }: Summary,
  checks: Check[],
): string[] {
  return [
    ...section(
      "SLOWEST files:",
      slowest.map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`),
    ),
    ...section(`PASSED only at a later try (a run may have ${RETRIES}):`, retried),
    ...(retried.length > RETRIES ? ["This run fails: more tests than that needed another try."] : []),
    ...wants.flatMap(({ why, tests }) =>
      section(`SKIPPED for want of ${why}, so not shown to work on this machine:`, tests),
    ),
    ...section(
      "FAILED beside the tests:",
      checks.filter((one) => !one.passed).map(({ name }) => name),
    ),
    "",
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
  ];
}

function section(title: string, rows: string[]): string[] {
  return rows.length === 0 ? [] : ["", title, ...rows.map((row) => `  ${row}`)];
}
