import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { join } from "node:path";
import { Command, Option } from "@commander-js/extra-typings";
import { printing } from "../cli/command";
import { countNumber } from "../cli/numbers";
import { say } from "../cli/output";
import { runProgram, strict } from "../cli/run";
import { buildRecipes } from "../operations/images/buildRecipes";
import { ensureDocker } from "../platform/docker/engine";
import { UserError } from "../platform/process";
import { packageDir } from "../platform/project";
import { recipeRoles } from "../platform/stack/recipes";
import { scratch, sweepDead } from "../test/support/allocate";
import { removeFolder } from "../test/support/leftovers";
import { SKIPS_FILE } from "../test/support/needs";
import { filesAgain, withAgain } from "./test/again";
import { sourceChecks } from "./test/checks";
import { jest } from "./test/jest";
import { pulumiHome } from "./test/pulumiHome";
import { type Check, type JestReport, lines, readWants, summarize } from "./test/report";
import { stagesOf, TIERS } from "./test/tiers";

const ENGINE = process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";

const program = new Command("test")
  .description("Run test suites; the last line counts what passed, failed and was skipped.")
  .argument("[pattern...]", "only test files whose path matches one of them")
  .addOption(
    new Option(
      "--tier <tier>",
      "fast: lint, types and what needs no box; all: every claim once; soak: load scenes and many more runs",
    )
      .choices(TIERS)
      .default("all" as const),
  )
  .option(
    "--lanes <count>",
    "test files with a box at once (default: as many as cores, 6 at most)",
    countNumber,
  )
  .option("--json", "print one JSON document on standard output")
  .action(
    printing(async (positionals, { tier, lanes }) => {
      sweepDead();
      const hasEngine = tier !== "fast" && (await engineForTests());
      const folder = scratch("run");
      const skips = join(folder, "skips");
      const env = {
        ...{ [SKIPS_FILE]: skips, PULUMI_HOME: pulumiHome(folder) },
        ...(tier === "soak" ? { GPUBOX_SOAK: "1" } : {}),
      };
      // Beside Jest: each of them keeps no more than one core busy.
      const checking: Promise<Check[]> =
        tier === "fast" && positionals.length === 0 ? sourceChecks() : Promise.resolve([]);
      const machine = { cores: availableParallelism(), gib: freemem() / 1024 ** 3 };
      const reports: JestReport[] = [];
      const building = hasEngine && positionals.length === 0 ? buildImages() : undefined;
      for (const stage of stagesOf(tier, machine, lanes)) {
        if (stage.boxes) await building;
        const report = await jest(stage, folder, positionals, env);
        const again = filesAgain(stage, report);
        if (again.length > 0) say(`\nonce more, one after another: ${again.join(", ")}`);
        const later = again.length > 0 && (await jest({ ...stage, lanes: 1 }, folder, again, env));
        reports.push(later ? withAgain(report, later) : report);
      }
      const checks = await checking;
      const wants = existsSync(skips) ? readWants(readFileSync(skips, "utf8")) : [];
      removeFolder(folder);
      // Folders of the workers that have ended by now.
      sweepDead();
      const summary = summarize(reports, wants, checks, packageDir);
      for (const line of lines(summary, checks)) say(line);
      if (summary.failed > 0 || reports.some((one) => one.wasInterrupted)) process.exitCode = 1;
      return summary;
    }),
  );

void runProgram(() => strict(program as never), process.argv.slice(2));

/**
 * Builds the images of all recipes where they are missing, while the tests run that need none: otherwise each would be built
 * within the time limit of a test. One that cannot be built is built again by the test that needs it, which then says why.
 */
async function buildImages(): Promise<void> {
  const log = (line: string) => say(`images: ${line}`);
  await buildRecipes(recipeRoles(packageDir), { projectDir: packageDir, docker: ENGINE, log }).catch(
    (error) => {
      if (!(error instanceof UserError)) throw error;
      log(error.what);
    },
  );
}

/** The e2e suites want a real engine. Where none can be had, and this is false, they count as skipped. */
async function engineForTests(): Promise<boolean> {
  try {
    await ensureDocker({
      host: ENGINE,
      projectDir: packageDir,
      yes: true,
      compose: true,
      log: say,
    });
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    say(`no Docker engine, so the e2e tests are skipped: ${error.what} ${error.fix}`);
    return false;
  }
}
