import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ChatProtocol } from "../configs/trajectory/conversations";
import type { TrajectoryLine } from "../configs/trajectory/line";
import { pretty, reportText } from "../configs/trajectory/show";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { checkLogs } from "../runner/trajectory/check";
import { convertLogs } from "../runner/trajectory/convert";
import { linesOf, newLines } from "../runner/trajectory/show";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "trajectory",
  does: "Reads trajectory logs (docs/trajectory.md): show prints their lines, check compares them with what was counted (exit code 2 when something is missing), convert writes a list of messages for each conversation. FOLDER holds logs, also below it; default: that of the stack's main gateway.",
  words: "show|check|convert [FOLDER …]",
  options: {
    stack: stackOption,
    last: { type: "string", default: "20", value: "N", help: "show: how many lines; default: 20" },
    follow: { type: "boolean", short: "f", default: false, help: "show: go on as lines come, until Ctrl-C" },
    attempts: { type: "boolean", default: false, help: "show: attempts that were tried again, too" },
    conversation: { type: "string", value: "ID", help: "show: only this conversation" },
    job: { type: "string", value: "NAME", help: "show: only this job" },
    model: { type: "string", value: "NAME", help: "show: only this model" },
    route: { type: "string", value: "PATH", help: "show: only this route" },
    outcome: { type: "string", value: "OUTCOME", help: "show: only these: ok, error, …" },
    out: { type: "string", value: "FOLDER", help: "convert: where the files go" },
    to: {
      type: "string",
      value: "PROTOCOL",
      help: "convert: openai or anthropic; default: each call's own",
    },
  },
} as const;

verb(about, async ({ values, positionals: [action, ...named] }) => {
  if (!action || !["show", "check", "convert"].includes(action))
    throw new UserError(
      action ? `There is no "${action}".` : "What to do is missing.",
      "Choose from: show, check, convert.",
    );
  const paths = named.length > 0 ? named : [ownFolder(values.stack)];
  if (action === "check") return check(paths);
  if (action === "convert") return convert(paths, values);
  const last = Number(values.last);
  if (!Number.isInteger(last) || last < 1)
    throw new UserError("--last is no whole number above 0.", "For example: --last 20.");
  // A document a line: a log may never end.
  const print = (line: TrajectoryLine) => console.log(values.json ? JSON.stringify(line) : pretty(line));
  for (const line of await linesOf(paths, values, last)) print(line);
  if (values.follow) for await (const line of newLines(paths, values)) print(line);
  return undefined;
});

async function check(paths: string[]): Promise<unknown> {
  const report = await checkLogs(paths);
  say(reportText(report));
  if (!report.complete) process.exitCode = 2;
  return report;
}

async function convert(paths: string[], { out, to }: { out?: string; to?: string }): Promise<unknown> {
  if (!out) throw new UserError("The files need a folder.", "Name it: --out FOLDER.");
  if (to !== undefined && to !== "openai" && to !== "anthropic")
    throw new UserError(`There is no protocol "${to}".`, "Choose from: openai, anthropic.");
  const conversion = await convertLogs(paths, out, to satisfies ChatProtocol | undefined);
  say(`${conversion.calls} calls in ${conversion.files.length} conversations: ${out}`);
  for (const [why, count] of Object.entries(conversion.leftOut)) say(`  left out: ${count} ${why}`);
  return conversion;
}

/** Where the main gateway of a stack logs, on this host. */
function ownFolder(stack: string): string {
  const config = checkStackFile(defaultProjectDir, stack, {
    secrets: namedSecrets(defaultProjectDir, stack),
  });
  const folder = join(config.host.dataDir, "trajectories");
  if (!existsSync(folder))
    throw new UserError(
      `There is no ${folder}.`,
      "Name the folder of a log, or set gateway.trajectories and run `npm run up`.",
    );
  return folder;
}
