import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { z } from "zod";
import { printing } from "../cli/command";
import { say } from "../cli/output";
import { runProgram, strict } from "../cli/run";
import { ensureDocker } from "../platform/docker/engine";
import { run, UserError } from "../platform/process";
import { packageDir } from "../platform/project";

const report = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  numRuntimeErrorTestSuites: z.number(),
  testResults: z.array(
    z.object({
      assertionResults: z.array(
        z.object({
          status: z.string(),
          fullName: z.string(),
          invocations: z.number().nullish(),
        }),
      ),
    }),
  ),
});

type Report = z.infer<typeof report>;

/** Stages, one after another; `lanes` is how many test files of a stage run at the same time. Default: one a core. */
const STAGES: { projects: string[]; lanes?: number }[] = [
  { projects: ["unit", "component", "contract"] },
  // Each has a box, ports and a directory of its own. More than two at once starve each other on small machines.
  { projects: ["e2e"], lanes: 2 },
  { projects: ["alone"], lanes: 1 },
];

const program = new Command("test")
  .description("Run every suite, name the skipped tests, and end with one line of counts.")
  .argument("[pattern...]", "only test files whose path matches one of them")
  .option("--json", "print one JSON document on standard output")
  .action(
    printing(async (positionals) => {
      await engineForTests();
      const reports: Report[] = [];
      for (const stage of STAGES) reports.push(await jest(stage.projects, stage.lanes, positionals));
      const sum = (count: (one: Report) => number) => reports.reduce((total, one) => total + count(one), 0);
      const tests = reports.flatMap((one) => one.testResults.flatMap((file) => file.assertionResults));
      const skipped = tests.filter(({ status }) => status === "pending");
      if (skipped.length > 0) say("\nSKIPPED, so not shown to work on this machine:");
      for (const test of skipped) say(`  ${test.fullName}`);
      const late = tests.filter(({ status, invocations }) => status === "passed" && (invocations ?? 1) > 1);
      if (late.length > 0) say("\nPASSED only at the second try:");
      for (const test of late) say(`  ${test.fullName}`);
      const failed = sum((one) => one.numFailedTests + one.numRuntimeErrorTestSuites);
      const passed = sum((one) => one.numPassedTests);
      say(
        `\n${passed} passed, ${failed} failed, ${sum((one) => one.numPendingTests + one.numTodoTests)} skipped`,
      );
      if (failed > 0 || reports.some((one) => !one.success)) process.exitCode = 1;
      return { passed, failed, skipped: skipped.map(({ fullName }) => fullName) };
    }),
  );

void runProgram(() => strict(program as never), process.argv.slice(2));

/** The e2e suites want a real engine. Where none can be had they count as skipped. */
async function engineForTests(): Promise<void> {
  try {
    const host = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
    await ensureDocker({
      host,
      projectDir: packageDir,
      yes: true,
      compose: true,
      log: say,
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`no Docker engine, so the e2e tests are skipped: ${error.what} ${error.fix}`);
  }
}

async function jest(projects: string[], lanes: number | undefined, wanted: string[]): Promise<Report> {
  const file = join(mkdtempSync(join(tmpdir(), "gpubox-jest-")), "report.json");
  const args = [
    "--selectProjects",
    ...projects,
    "--json",
    `--outputFile=${file}`,
    ...(lanes === undefined ? [] : [`--maxWorkers=${lanes}`]),
  ];
  const patterns = wanted.flatMap((pattern) => ["--testPathPatterns", pattern]);
  // The report goes to the file; what people read goes to standard error.
  await run("npx", ["--no-install", "jest", ...args, "--passWithNoTests", ...patterns], {
    cwd: packageDir,
    env: { FORCE_COLOR: process.stdout.isTTY ? "1" : undefined },
    inherit: true,
  });
  return report.parse(JSON.parse(readFileSync(file, "utf8")));
}
