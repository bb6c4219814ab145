import { backUp } from "../operations/backup/backup";
import { adoptNext, makeNext, swapIn } from "../operations/backup/swap";
import { bringUpToDate, stackDatabase } from "../operations/database/stackDatabase";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { askFor } from "./ask";
import { group, hostCommand, printing } from "./command";
import { say } from "./output";

const reset = hostCommand("reset")
  .description(
    "Replace a stack's database with an empty one. Keys and spend remain only in a backup, which is made first. Asks twice.",
  )
  .option("-y, --yes", "ask nothing; only together with --confirm")
  .option("--confirm <name>", "the stack's name once more")
  .action(
    printing(async ({ stack, yes, confirm }) => {
      const projectDir = findProject();
      const database = await stackDatabase(projectDir, stack);
      const { job } = database;
      const instead = `Add --yes --confirm ${stack} if you mean it.`;
      if (!yes) {
        const question = `This deletes every virtual key and all spend of the stack ${stack}. Type the stack's name: `;
        await askFor(stack, question, instead);
        await askFor("reset", "They remain only in a backup. Type reset:  ", instead);
      } else if (confirm !== stack)
        throw new UserError("Deleting a database needs its stack's name.", instead);
      say(`reset of the database of ${stack}`);
      await backUp({ projectDir, job }, "before a reset", say);
      await makeNext(job);
      await adoptNext(job);
      await swapIn(job);
      say("  the database is empty");
      await bringUpToDate(database, say);
      return { stack, reset: true };
    }),
  );

export const definition = group("database", "The database of a stack (docs/backup.md).", reset);
