import { relative } from "node:path";
import { z } from "zod";

/** How many second tries a run may need: of a test, or of a file as a whole. */
export const RETRIES = 3;
const SLOWEST = 10;

const fileResult = z.object({
  name: z.string(),
  /** `failed` too where the file itself could not be run. */
  status: z.string(),
  startTime: z.number(),
  endTime: z.number(),
  assertionResults: z.array(
    z.object({ status: z.string(), fullName: z.string(), invocations: z.number().nullish() }),
  ),
});

export interface FileResult extends z.infer<typeof fileResult> {
  /** It failed, and passed when it ran once more. */
  again?: true;
}

/** What is read of Jest's report. */
export const jestReport = z.object({ wasInterrupted: z.boolean(), testResults: z.array(fileResult) });

export interface JestReport {
  wasInterrupted: boolean;
  testResults: FileResult[];
}

/** How many tests of a file failed; 1 for a file that could not be run. */
export function failures({ status, assertionResults }: FileResult): number {
  const failed = assertionResults.filter((one) => one.status === "failed").length;
  return status === "failed" ? Math.max(1, failed) : failed;
}

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
  /** Tests and files that passed only at a later try. */
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
  const files = reports.flatMap((one) => one.testResults);
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const retried = files.flatMap(({ name, again, assertionResults }) =>
    again
      ? [`${relative(root, name)}, as a whole`]
      : assertionResults
          .filter(({ status, invocations }) => status === "passed" && (invocations ?? 1) > 1)
          .map(({ fullName }) => fullName),
  );
  const count = (...wanted: string[]) => tests.filter(({ status }) => wanted.includes(status)).length;
  const bad = checks.filter(({ passed }) => !passed).length;
  return {
    passed: count("passed") + checks.length - bad,
    failed:
      files.reduce((total, file) => total + failures(file), 0) + bad + (retried.length > RETRIES ? 1 : 0),
    skipped: count("pending", "todo"),
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
    ...(retried.length > RETRIES ? ["This run fails: it needed more tries than that."] : []),
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
