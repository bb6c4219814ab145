import { readFileSync } from "node:fs";
import { backupJobSchema } from "../configs/plan/backup";
import { backUp } from "../operations/backup/backup";
import { rehearse } from "../operations/backup/rehearse";
import { keptBackups, type Store, withBackup } from "../operations/backup/store";
import { stackDatabase } from "../operations/database/stackDatabase";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { connectStack } from "../platform/stack/host";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("backup")
  .description("Back up the database of a stack and what belongs to it (docs/backup.md).")
  .option("--to <dir>", "into this directory instead of where gpubox:backup says")
  .option("--restic", "into the repository of gpubox:backup.restic; refused where there is none")
  .option("--rehearse", "then restore it into a scratch container and compare every table")
  .option("--list", "show the backups that there are")
  .option("--job", "for `up`: read what to do from standard input")
  .addHelpText("after", examples("backup --rehearse", "backup --to /mnt/backups --stack box"))
  .action(
    printing(async (options) => {
      const projectDir = findProject();
      if (options.job) {
        const job = backupJobSchema.parse(JSON.parse(readFileSync(0, "utf8")));
        await backUp({ projectDir, job }, "before the gateway's new image", say);
        return undefined;
      }
      connectStack(projectDir, options.stack);
      const { plan, job } = await stackDatabase(projectDir, options.stack);
      if (options.restic && (options.to || !job.restic))
        throw new UserError(
          options.to ? "--to and --restic contradict each other." : "This stack names no restic repository.",
          options.to ? "Use one of them." : "Write gpubox:backup.restic, or use --to DIR.",
        );
      const store: Store = { projectDir, job, directory: options.to };
      if (options.list) return list(store);
      say(`backup of ${options.stack}`);
      const path = await backUp(store, "by hand", say);
      if (options.rehearse) {
        const image = plan.database?.container.image ?? "";
        await withBackup(store, path, {}, (backup) => rehearse(plan.docker, image, backup, say));
      }
      return { backup: path, rehearsed: options.rehearse === true };
    }),
  );

async function list(store: Store) {
  const kept = await keptBackups(store);
  for (const { name, madeAt, signed } of kept)
    say(`${madeAt}  ${name}${signed === false ? "  (not signed by this stack)" : ""}`);
  if (kept.length === 0) say("There is no backup yet.");
  return kept;
}
