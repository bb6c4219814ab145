import { NO_SECOND_TRY } from "../../test/support/noSecondTry";
import { type FileResult, failures, type JestReport, RETRIES } from "./report";
import type { Stage } from "./tiers";

/**
 * The files of a stage that run once more, each with a box of its own and beside nothing: those with a failure, where they are so
 * few that the machine may have been the reason. None of a stage without a clock.
 */
export function filesAgain({ projects }: Stage, { testResults }: JestReport): string[] {
  if (projects.includes("unit")) return [];
  const failed = testResults.filter((file) => failures(file) > 0).map(({ name }) => name);
  return failed.length <= RETRIES && !failed.some((name) => NO_SECOND_TRY.test(name)) ? failed : [];
}

/** A report in which the files that passed when they ran again stand as they ended then. */
export function withAgain(first: JestReport, again: JestReport): JestReport {
  return {
    ...first,
    testResults: first.testResults.map((file) => {
      const later = again.testResults.find(({ name }) => name === file.name);
      return later && failures(later) === 0 && !skipsMore(file, later) ? { ...later, again: true } : file;
    }),
  };
}

/** A file that began too late skips its tests, which mends nothing. */
function skipsMore(first: FileResult, later: FileResult): boolean {
  const skipped = ({ assertionResults }: FileResult) =>
    assertionResults.filter(({ status }) => status !== "passed" && status !== "failed").length;
  return skipped(later) > skipped(first);
}
