import { readFileSync } from "node:fs";
import { backupJobSchema } from "../configs/plan/backup";
import { backUp } from "../runner/backup/backup";
import { rehearse } from "../runner/backup/rehearse";
import { keptBackups, type Store, withBackup } from "../runner/backup/store";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { connectStack } from "../runner/ssh/stackHost";
import { stackDatabase } from "../runner/stackDatabase";
import { say, stackOption, verb } from "./verb";

const about = {
  name: "backup",
  does: "Backs the database of a stack up, with what belongs to it (docs/backup.md).",
  options: {
    stack: stackOption,
    to: { type: "string", value: "DIR", help: "into this directory and not where gpubox:backup says" },
    restic: {
      type: "boolean",
      default: false,
      help: "into the repository of gpubox:backup.restic, which is refused where there is none",
    },
    rehearse: {
      type: "boolean",
      default: false,
      help: "afterwards restores it into a scratch container and compares every table",
    },
    list: { type: "boolean", default: false, help: "shows the backups that there are" },
    job: { type: "boolean", default: false, help: "for `up`: takes what to do from standard input" },
  },
} as const;

verb(about, async ({ values: options }) => {
  const projectDir = defaultProjectDir;
  if (options.job) {
    const job = backupJobSchema.parse(JSON.parse(readFileSync(0, "utf8")));
    await backUp({ projectDir, job }, "before the gateway's new image", say);
    return;
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
  return { backup: path, rehearsed: options.rehearse };
});

async function list(store: Store) {
  const kept = await keptBackups(store);
  for (const { name, madeAt, signed } of kept)
    say(`${madeAt}  ${name}${signed === false ? "  (not signed by this stack)" : ""}`);
  if (kept.length === 0) say("There is no backup yet.");
  return kept;
}
