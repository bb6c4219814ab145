import { z } from "zod";
import type { StepPlan } from "../kit/containerPlan";
import type { SecretPart } from "../kit/text";
import { engineAddress } from "../network/engine";
import { imageOf, type PlanContext } from "./context";
import { writeMetric } from "./observability/textfile";

/** The input of a backup as plain data. Its secrets, the signing key and the repository's password, are added only when it runs. */
export const backupJobSchema = z.object({
  stack: z.string(),
  /** Address of the Docker engine. */
  docker: z.string(),
  /** Name of the container that Postgres runs in. */
  container: z.string(),
  /** Absolute path; absent: `.gpubox/backups` of the project. */
  directory: z.string().optional(),
  /** Number of the stack's backups to keep. */
  keep: z.number(),
  /** `saltFingerprint()` of the stack's salt key. */
  saltFingerprint: z.string(),
  /** Derived from the salt key. It can sign backups of this stack and do nothing else. */
  signingKey: z.string().regex(/^[0-9a-f]{64}$/),
  restic: z.object({ repository: z.string(), password: z.string() }).optional(),
  /** Shell command that reports a finished backup to the monitors; absent without monitors. */
  tell: z.string().optional(),
});

export type BackupJob = z.infer<typeof backupJobSchema>;

/** The metric that the alert rules read. */
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
 * makes the same backup as `gpubox up`. Undefined where there is no bundled database.
 */
export function planBackup(context: PlanContext): StepPlan | undefined {
  const { config, prefix, saltFingerprint } = context;
  const { backup, database, observability, stack } = config;
  if (database.mode !== "bundled") return undefined;
  const job: Omit<BackupJob, "restic" | "signingKey"> = {
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
  const { restic } = backup;
  const begin = `${JSON.stringify(job).slice(0, -1)},"signingKey":"`;
  const signingKey: SecretPart = { secret: "saltKey", as: "derived", purpose: "signing backups" };
  const repository = `","restic":{"repository":${JSON.stringify(restic?.repository)},"password":`;
  return {
    name: "backup",
    script: "npx --no-install gpubox backup --job",
    stdin: restic
      ? [begin, signingKey, repository, { secret: restic.password.secret, as: "json" }, "}}"]
      : [begin, signingKey, '"}'],
  };
}
