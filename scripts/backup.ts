import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { backupJobSchema } from "../configs/plan/backup";
import { backUp } from "../runner/backup/backup";
import { rehearse } from "../runner/backup/rehearse";
import { keptBackups, type Store, withBackup } from "../runner/backup/store";
import { UserError } from "../runner/process";
import { defaultProjectDir } from "../runner/project";
import { stackDatabase } from "../runner/stackDatabase";
import { say, verb } from "./verb";

const HELP = `npm run backup [-- OPTION …]     backs the database of a stack up, with what belongs to it

  --stack NAME   which stack; default: dev
  --to DIR       into this directory and not where gpubox:backup says
  --restic       into the repository of gpubox:backup.restic, which is refused where there is none
  --rehearse     afterwards restores it into a scratch container and compares every table
  --list         shows the backups that there are
  --json         with --list: for programs

A page about it: docs/backup.md`;

/** `npm run backup`; with `--job` the step of `up`, whose job comes on standard input. */
verb(async () => {
  const { values: options } = parseArgs({
    options: {
      stack: { type: "string", default: "dev" },
      to: { type: "string" },
      restic: { type: "boolean", default: false },
      rehearse: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      job: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const projectDir = defaultProjectDir;
  if (options.help) return say(HELP);
  if (options.job) {
    const job = backupJobSchema.parse(JSON.parse(readFileSync(0, "utf8")));
    await backUp({ projectDir, job }, "before the gateway's new image", say);
    return;
  }
  const { plan, job } = await stackDatabase(projectDir, options.stack);
  if (options.restic && (options.to || !job.restic))
    throw new UserError(
      options.to ? "--to and --restic contradict each other." : "This stack names no restic repository.",
      options.to ? "Use one of them." : "Write gpubox:backup.restic, or use --to DIR.",
    );
  const store: Store = { projectDir, job, directory: options.to };
  if (options.list) return list(store, options.json);
  say(`backup of ${options.stack}`);
  const path = await backUp(store, "by hand", say);
  if (!options.rehearse) return;
  const image = plan.database?.container.image ?? "";
  await withBackup(store, path, (folder) => rehearse(plan.docker, image, folder, say));
});

async function list(store: Store, json: boolean): Promise<void> {
  const kept = await keptBackups(store);
  if (json) return say(JSON.stringify(kept));
  for (const { name, madeAt } of kept) say(`${madeAt}  ${name}`);
  if (kept.length === 0) say("There is no backup yet.");
}
