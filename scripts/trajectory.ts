import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ChatProtocol } from "../configs/trajectory/conversations";
import { pretty, reportText } from "../configs/trajectory/show";
import { checkStackFile, namedSecrets } from "../runner/planStack";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { checkLogs } from "../runner/trajectory/check";
import { convertLogs } from "../runner/trajectory/convert";
import { linesOf, newLines } from "../runner/trajectory/show";
import { say, verb } from "./verb";

const HELP = `npm run trajectory ACTION [-- FOLDER …] [--stack NAME]

  show      the lines, one a request     --last N  --follow  --attempts  --json (the whole lines)
                                         --conversation ID  --job J  --model M  --route R  --outcome ok|error|…
  check     what was counted against what was logged: what is missing, and why. Exit code 2 when something is. --json
  convert   message lists, a file for each conversation: --out FOLDER  [--to openai|anthropic]  --json

FOLDER holds logs, also below it; a log's file stands for the whole log. Default: that of the stack's main gateway.`;

/** `npm run trajectory show|check|convert`: reads trajectory logs, see docs/trajectory.md. */
verb(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h", default: false },
      json: { type: "boolean", default: false },
      stack: { type: "string", default: "dev" },
      last: { type: "string", default: "20" },
      follow: { type: "boolean", short: "f", default: false },
      attempts: { type: "boolean", default: false },
      conversation: { type: "string" },
      job: { type: "string" },
      model: { type: "string" },
      route: { type: "string" },
      outcome: { type: "string" },
      out: { type: "string" },
      to: { type: "string" },
    },
  });
  const [action, ...named] = positionals;
  if (values.help || action === undefined) return say(HELP);
  if (!["show", "check", "convert"].includes(action))
    throw new UserError(`There is no "${action}".`, "Choose from: show, check, convert.");
  const paths = named.length > 0 ? named : [ownFolder(values.stack)];
  if (action === "check") return check(paths, values.json);
  if (action === "convert") return convert(paths, values);
  const last = Number(values.last);
  if (!Number.isInteger(last) || last < 1)
    throw new UserError("--last is no whole number above 0.", "For example: --last 20.");
  const print = values.json ? JSON.stringify : pretty;
  for (const line of await linesOf(paths, values, last)) say(print(line));
  if (values.follow) for await (const line of newLines(paths, values)) say(print(line));
});

async function check(paths: string[], json: boolean): Promise<void> {
  const report = await checkLogs(paths);
  say(json ? JSON.stringify(report, null, 2) : reportText(report));
  if (!report.complete) process.exitCode = 2;
}

async function convert(paths: string[], { out, to, json }: { out?: string; to?: string; json: boolean }) {
  if (!out) throw new UserError("The files need a folder.", "Name it: --out FOLDER.");
  if (to !== undefined && to !== "openai" && to !== "anthropic")
    throw new UserError(`There is no protocol "${to}".`, "Choose from: openai, anthropic.");
  const conversion = await convertLogs(paths, out, to satisfies ChatProtocol | undefined);
  if (json) return say(JSON.stringify(conversion, null, 2));
  say(`${conversion.calls} calls in ${conversion.files.length} conversations: ${out}`);
  for (const [why, count] of Object.entries(conversion.leftOut)) say(`  left out: ${count} ${why}`);
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
