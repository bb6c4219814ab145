import { Option } from "@commander-js/extra-typings";
import { table } from "../configs/kit/table";
import { readDatabase } from "../operations/database/readDatabase";
import { GROUPS, type Group, sinceDay, type Usage, usageBy } from "../operations/usage/usage";
import { findProject } from "../platform/project";
import { examples, hostCommand, printing } from "./command";
import { say } from "./output";
import { usd } from "./usd";

export const definition = hostCommand("usage")
  .description("Show who spent what: requests, tokens and US dollars (docs/keys.md).")
  .option("--since <when>", "a day, 2026-11-01, or a number of days", "30d")
  .addOption(new Option("--by <what...>", "default: all three").choices(GROUPS))
  .addHelpText("after", examples("usage --since 7d --by model key"))
  .action(
    printing(async ({ stack, since: from, by = [] }) => {
      const groups: readonly Group[] = by.length > 0 ? by : GROUPS;
      const since = sinceDay(from);
      const { at } = await readDatabase(findProject(), stack);
      const found: Partial<Record<Group, Usage[]>> = {};
      for (const group of groups) found[group] = await usageBy(at, group, since);
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
    }),
  );
