import { z } from "zod";
import type { StepPlan } from "../kit/types";
import { engineAddress } from "../network/engine";
import { imageOf, type PlanContext } from "./context";
import { writeMetric } from "./observability/textfile";

/** What a backup has to know, as plain data; the only secret in it is the repository's password, and only as it runs. */
export const backupJobSchema = z.object({
  stack: z.string(),
  /** Address of the Docker engine. */
  docker: z.string(),
  /** Name of the container that Postgres runs in. */
  container: z.string(),
  /** Absolute path; absent: `.gpubox/backups` of the project. */
  directory: z.string().optional(),
  /** Backups of the stack that stay. */
  keep: z.number(),
  /** `saltFingerprint()` of the stack's salt key. */
  saltFingerprint: z.string(),
  restic: z.object({ repository: z.string(), password: z.string() }).optional(),
  /** Shell command that tells the monitors of a backup that was made; absent where nobody watches. */
  tell: z.string().optional(),
});

export type BackupJob = z.infer<typeof backupJobSchema>;

/** What the alert rules look at. */
const MADE = {
  file: "backup",
  text: [
    "# HELP gpubox_backup_timestamp_seconds When the database was last backed up.",
    "# TYPE gpubox_backup_timestamp_seconds gauge",
    "gpubox_backup_timestamp_seconds @NOW@",
  ].join("\n"),
};

/**
 * The step that backs the bundled database up before a migration. Its job comes on standard input, so that plain `pulumi up`
 * makes the same backup as `npm run up`. Undefined where there is no bundled database.
 */
export function planBackup(context: PlanContext): StepPlan | undefined {
  const { config, prefix, saltFingerprint } = context;
  const { backup, database, observability, stack } = config;
  if (database.mode !== "bundled") return undefined;
  const job: Omit<BackupJob, "restic"> = {
    stack,
    docker: engineAddress(config),
    container: `${prefix}-database`,
    directory: backup.directory,
    keep: backup.keep,
    saltFingerprint,
    ...(observability.mode === "bundled"
      ? { tell: writeMetric(imageOf(context, "edge"), context.dataDir, MADE) }
      : {}),
  };
  const text = JSON.stringify(job);
  const { restic } = backup;
  const head = `${text.slice(0, -1)},"restic":{"repository":${JSON.stringify(restic?.repository)},"password":`;
  return {
    name: "backup",
    script: "npx --no-install gpubox backup --job",
    stdin: restic ? [head, { secret: restic.password.secret, as: "json" }, "}}"] : [text],
  };
}
