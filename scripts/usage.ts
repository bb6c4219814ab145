import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { stackDatabase } from "../runner/stackDatabase";
import { GROUPS, type Group, sinceDay, type Usage, usageBy } from "../runner/usage";
import { table, usd } from "./table";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "usage",
  does: "Who spent what: requests, tokens and US dollars (docs/keys.md).",
  onHost: true,
  options: {
    stack: stackOption,
    since: {
      type: "string",
      default: "30d",
      value: "WHEN",
      help: "a day, 2026-11-01, or a number of days; default: 30d",
    },
    by: {
      type: "string",
      multiple: true,
      value: "WHAT",
      help: "model, key or day; may be given several times; default: all three",
    },
  },
} as const;

verb(about, async ({ values: { stack, since: from, by = [] } }) => {
  const unknown = by.find((name) => !GROUPS.some((group) => group === name));
  if (unknown) throw new UserError(`Spend is not told by "${unknown}".`, `Use --by ${GROUPS.join(", ")}.`);
  const groups = by.length > 0 ? (by as Group[]) : GROUPS;
  const since = sinceDay(from);
  const { job } = await stackDatabase(defaultProjectDir, stack);
  const found: Partial<Record<Group, Usage[]>> = {};
  for (const group of groups) found[group] = await usageBy(job, group, since);
  say(`spend of ${stack} since ${since}, UTC`);
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
  return { since, ...found };
});
