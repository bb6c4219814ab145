import { parseArgs } from "node:util";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { stackDatabase } from "../runner/stackDatabase";
import { GROUPS, type Group, sinceDay, type Usage, usageBy } from "../runner/usage";
import { table, usd } from "./table";
import { say, verb } from "./verb";

const HELP = `npm run usage [-- OPTION …]    who spent what: requests, tokens and US dollars

  --stack NAME   which stack; default: dev
  --since WHEN   a day, 2026-11-01, or a number of days; default: 30d
  --by WHAT      model, key or day; may be given several times; default: all three
  --json         for programs

A page about it: docs/keys.md`;

/** `npm run usage`. */
verb(async () => {
  const { values: options } = parseArgs({
    options: {
      stack: { type: "string", default: "dev" },
      since: { type: "string", default: "30d" },
      by: { type: "string", multiple: true, default: [] },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (options.help) return say(HELP);
  const unknown = options.by.find((name) => !GROUPS.some((group) => group === name));
  if (unknown) throw new UserError(`Spend is not told by "${unknown}".`, `Use --by ${GROUPS.join(", ")}.`);
  const groups = options.by.length > 0 ? (options.by as Group[]) : GROUPS;
  const since = sinceDay(options.since);
  const { job } = await stackDatabase(defaultProjectDir, options.stack);
  const found: Partial<Record<Group, Usage[]>> = {};
  for (const group of groups) found[group] = await usageBy(job, group, since);
  if (options.json) return say(JSON.stringify({ since, ...found }));
  say(`spend of ${options.stack} since ${since}, UTC`);
  for (const [group, rows] of Object.entries(found)) {
    say();
    const cells = rows.map((row) => [
      row.name,
      ...[row.requests, row.failed, row.inputTokens, row.outputTokens].map(String),
      usd(row.usd),
    ]);
    const head = [group, "requests", "failed", "tokens in", "tokens out", "USD"];
    for (const line of table(head, cells)) say(`  ${line}`);
  }
});
