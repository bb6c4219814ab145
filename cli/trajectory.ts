import { existsSync } from "node:fs";
import { join } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { checkLogs } from "../operations/trajectory/check";
import { convertLogs } from "../operations/trajectory/convert";
import type { TrajectoryLine } from "../operations/trajectory/line";
import { pretty, reportText } from "../operations/trajectory/pretty";
import { linesOf, newLines } from "../operations/trajectory/readLines";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { checkStackFile, namedSecrets } from "../platform/stack/planStack";
import { examples, group, printing, stackCommand } from "./command";
import { countNumber } from "./numbers";
import { jsonWanted, say } from "./output";

const FOLDERS = "folders with logs, searched recursively; default: that of the stack's main gateway";

const show = stackCommand("show")
  .description("Print the lines of logs.")
  .argument("[folder...]", FOLDERS)
  .option("--last <count>", "how many lines", countNumber, 20)
  .option("-f, --follow", "continue with new lines until Ctrl-C")
  .option("--attempts", "include attempts that were retried", false)
  .option("--conversation <id>", "only this conversation")
  .option("--job <name>", "only this job")
  .option("--model <name>", "only this model")
  .option("--route <path>", "only this route")
  .option("--outcome <outcome>", "only these: ok, error, …")
  .action(
    printing(async (folders, options) => {
      const paths = foldersOf(folders, options.stack);
      // One document per line, because a log may never end.
      const print = (line: TrajectoryLine) => console.log(jsonWanted() ? JSON.stringify(line) : pretty(line));
      for (const line of await linesOf(paths, options, options.last)) print(line);
      if (options.follow) for await (const line of newLines(paths, options)) print(line);
    }),
  );

const check = stackCommand("check")
  .description("Compare logs with the requests counted. Exit code 2 when something is missing.")
  .argument("[folder...]", FOLDERS)
  .action(
    printing(async (folders, { stack }) => {
      const report = await checkLogs(foldersOf(folders, stack));
      say(reportText(report));
      if (!report.complete) process.exitCode = 2;
      return report;
    }),
  );

const convert = stackCommand("convert")
  .description("Write a list of messages for each conversation.")
  .argument("[folder...]", FOLDERS)
  .requiredOption("--out <dir>", "where the files go")
  .addOption(
    new Option("--to <protocol>", "default: each call's own").choices(["openai", "anthropic"] as const),
  )
  .action(
    printing(async (folders, { stack, out, to }) => {
      const conversion = await convertLogs(foldersOf(folders, stack), out, to);
      say(`${conversion.calls} calls in ${conversion.files.length} conversations: ${out}`);
      for (const [why, count] of Object.entries(conversion.leftOut)) say(`  left out: ${count} ${why}`);
      return conversion;
    }),
  );

export const definition = group(
  "trajectory",
  "Read trajectory logs: a gateway's requests and answers (docs/trajectory.md).",
  show,
  check,
  convert,
).addHelpText("after", examples("trajectory show --last 5", "trajectory convert --out ./conversations"));

function foldersOf(named: string[], stack: string): string[] {
  return named.length > 0 ? named : [ownFolder(stack)];
}

/** The log folder of a stack's main gateway on this host. */
function ownFolder(stack: string): string {
  const projectDir = findProject();
  const config = checkStackFile(projectDir, stack, { secrets: namedSecrets(projectDir, stack) });
  const folder = join(config.host.dataDir, "trajectories");
  if (!existsSync(folder))
    throw new UserError(
      `There is no ${folder}.`,
      "Name the folder of a log, or set gateway.trajectories and run `gpubox up`.",
    );
  return folder;
}
