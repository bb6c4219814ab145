import { table } from "../configs/kit/table";
import { readDatabase } from "../operations/database/readDatabase";
import { databaseOf, makeAccess } from "../operations/database/stackDatabase";
import { virtualKeyStates } from "../operations/keys/virtualKeys";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { readStack } from "../platform/stack/planStack";
import { hostCommand, printing } from "./command";
import { say } from "./output";
import { usd } from "./usd";

export const definition = hostCommand("keys")
  .description(
    "Show the virtual keys: the declared ones and their state in the database. Never shows a key (docs/keys.md).",
  )
  .option("--repair", "first restore declared teams and keys that somebody changed by hand")
  .action(
    printing(async ({ stack, repair }) => {
      const { at, plan, secrets } = await readDatabase(findProject(), stack);
      if (repair && plan.cluster)
        throw new UserError(
          "On a cluster a Job brings the declared teams and keys in, once for each state of them.",
          `Delete the Job of the label gpubox.role=access, and run \`gpubox up --stack ${stack}\`: it makes the Job again.`,
        );
      if (repair) await makeAccess(databaseOf(plan, secrets), say);
      const config = readStack(findProject(), stack, secrets);
      const keys = await virtualKeyStates(at, config, secrets);
      const day = (moment: string | undefined) => moment?.slice(0, 10) ?? "";
      const rows = keys.map((key) => [
        key.name,
        key.state,
        key.team ?? "",
        usd(key.spentUsd),
        usd(key.budgetUsd),
        usd(key.leftUsd),
        day(key.resets),
        day(key.expires),
        day(key.lastUsed),
      ]);
      const head = ["key", "state", "team", "spent USD", "budget", "left", "resets", "expires", "last used"];
      for (const line of table(head, rows)) say(line);
      if (keys.length === 0) say("No key is declared, and the database has none.");
      if (keys.some(({ state }) => state === "missing"))
        say("Keys are missing in the database: `gpubox keys --repair` creates them, or says why it cannot.");
      return keys;
    }),
  );
