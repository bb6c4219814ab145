import { backUp } from "../operations/backup/backup";
import { rehearse } from "../operations/backup/rehearse";
import { checkSalt, restoreBackup } from "../operations/backup/restore";
import { type Store, withBackup } from "../operations/backup/store";
import { bringUpToDate, stackDatabase } from "../operations/database/stackDatabase";
import { findProject } from "../platform/project";
import { askFor } from "./ask";
import { examples, hostCommand, printing } from "./command";
import { say } from "./output";

export const definition = hostCommand("restore")
  .description("Replace a stack's database with a backup, after backing it up (docs/backup.md).")
  .option("--from <which>", "a backup's folder, or a snapshot of the repository; default: the newest")
  .option(
    "--unsigned",
    "accept a backup without a signature, whose rows and keys nobody vouches for (docs/backup.md)",
    false,
  )
  .option("--rehearse", "only restore into a scratch container, and compare every table")
  .option("-y, --yes", "ask nothing")
  .addHelpText("after", examples("restore --rehearse", "restore --from .gpubox/backups/dev/…"))
  .action(
    printing(async ({ stack, from, unsigned, rehearse: only, yes }) => {
      const projectDir = findProject();
      const database = await stackDatabase(projectDir, stack);
      const { plan, job } = database;
      const store: Store = { projectDir, job };
      await withBackup(store, from, { unsigned }, async (backup) => {
        if (!backup.signed)
          say(
            "  This backup is not signed: whoever could write to its folder may have added their own keys and rows.",
          );
        if (only) {
          await rehearse(plan.docker, plan.database?.container.image ?? "", backup, say);
          return;
        }
        await checkSalt(job, backup);
        const { manifest } = backup;
        const what = `the backup of ${manifest.madeAt} (stack ${manifest.stack}, ${manifest.reason})`;
        if (!yes)
          await askFor(
            stack,
            `This replaces the database of ${stack} with ${what}. Type the stack's name: `,
            "Add --yes if you mean it.",
          );
        say(`restoring ${what}`);
        await backUp(store, "before a restore", say);
        await restoreBackup(job, backup, say);
        await bringUpToDate(database, say);
      });
      return { stack, restored: !only };
    }),
  );
