import { table } from "../configs/kit/table";
import { readDatabase } from "../operations/database/readDatabase";
import { invite, peopleStates } from "../operations/keys/people";
import { throughEdge } from "../operations/kubernetes/through";
import { findProject } from "../platform/project";
import { reachAdmin } from "../platform/ssh/reach";
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
      const { at, plan, secrets } = await readDatabase(findProject(), stack);
      const config = readStack(findProject(), stack, secrets);
      if (name !== undefined) {
        const by = (reach: () => Promise<string>) => invite(config, name, secrets.masterKey ?? "", reach);
        const link = plan.cluster
          ? await throughEdge(plan, config, ({ admin }) => by(admin))
          : await by(() => reachAdmin(config));
        say(link);
        return { name, link };
      }
      const people = await peopleStates(at, config);
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
