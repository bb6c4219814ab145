import { table } from "../configs/kit/table";
import { stackDatabase } from "../operations/database/stackDatabase";
import { invite, peopleStates } from "../operations/keys/people";
import { findProject } from "../platform/project";
import { readStack } from "../platform/stack/planStack";
import { hostCommand, printing } from "./command";
import { say } from "./output";
import { usd } from "./usd";

export const definition = hostCommand("people")
  .description("Show the people who may use LiteLLM's UI, and invite one of them (docs/admin-ui.md).")
  .option(
    "--invite <name>",
    "print a link by which a declared person chooses a password, once, within a week",
  )
  .action(
    printing(async ({ stack, invite: name }) => {
      const { job, secrets } = await stackDatabase(findProject(), stack);
      const config = readStack(findProject(), stack, secrets);
      if (name !== undefined) {
        const link = await invite(config, name, secrets.masterKey ?? "");
        say(link);
        return { name, link };
      }
      const people = await peopleStates(job, config);
      const rows = people.map((one) => [
        ...[one.name, one.state, one.email ?? "", one.role ?? ""],
        ...[usd(one.spentUsd), usd(one.budgetUsd), usd(one.leftUsd), one.resets?.slice(0, 10) ?? ""],
      ]);
      const head = ["person", "state", "email", "role", "spent USD", "budget", "left", "resets"];
      for (const line of table(head, rows)) say(line);
      if (people.length === 0) say("Nobody is declared, and the database has nobody.");
      return people;
    }),
  );
