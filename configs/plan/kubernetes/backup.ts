import type { BoxPlan } from "../../kit/types";
import { type MountedFiles, mountedFiles } from "./files";
import { clusterOf, meta } from "./names";
import { networkPolicy } from "./networks";
import type { Container, Volume } from "./objects";
import type { Part } from "./part";
import { bare, CONFIG_DIR, containerOf, memoryVolumes, podSpec, template } from "./pod";
import { BACKUP_ROLE, DATABASE_ROLE } from "./roles";
import { keptClaim, POSTGRES_PORT } from "./stores";

const BACKUPS = "backups";
const BACKUP_SECONDS = 7200;

/** The bundled Postgres' backups: a volume, and a Job by the clock. */
export function backupPart(plan: BoxPlan): Part {
  const backup = backupContainer(plan, "scheduled");
  if (!backup || !plan.database) return { objects: [], secrets: [] };
  const { settings } = clusterOf(plan);
  const spec = podSpec(
    plan,
    { ...plan.database.container, stopGraceSeconds: 60 },
    { containers: [{ ...backup.container, name: "main" }], volumes: backup.volumes },
  );
  return {
    secrets: backup.files.secrets,
    objects: [
      ...backup.files.objects,
      keptClaim(plan, BACKUP_ROLE, BACKUPS, settings.storage.backupsGiB),
      {
        apiVersion: "batch/v1",
        kind: "CronJob",
        metadata: meta(plan, BACKUP_ROLE),
        spec: {
          schedule: settings.backupSchedule,
          concurrencyPolicy: "Forbid",
          successfulJobsHistoryLimit: 1,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            spec: {
              backoffLimit: 2,
              activeDeadlineSeconds: BACKUP_SECONDS,
              template: template(plan, BACKUP_ROLE, { ...spec, restartPolicy: "Never" }),
            },
          },
        },
      },
      networkPolicy(plan, BACKUP_ROLE, {
        ingress: [],
        egress: [{ role: DATABASE_ROLE, port: POSTGRES_PORT }],
      }),
    ],
  };
}

/** What backs the database up once, in the pod of another. */
export interface BackupContainer {
  container: Container;
  files: MountedFiles;
  volumes: Volume[];
  gid: number;
}

/**
 * The container that backs the bundled database up; undefined without one.
 *
 * @param why a word for the backup's name
 */
export function backupContainer(plan: BoxPlan, why: string): BackupContainer | undefined {
  const { backup } = clusterOf(plan);
  if (!backup || !plan.database) return undefined;
  const { container: postgres } = plan.database;
  const [uid = 0, gid = 0] = postgres.user.split(":").map(Number);
  const files = mountedFiles(plan, BACKUP_ROLE, backup.files, "backup-files");
  const memory = memoryVolumes({ tmpfs: { "/tmp": "size=64m" } });
  const scratch = memory.volumes.map((volume) => ({ ...volume, name: "backup-tmp" }));
  const made = bare({
    ...containerOf(plan, { ...postgres, env: {} }, [
      { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
      { name: BACKUPS, mountPath: "/backups" },
      ...memory.mounts.map((mount) => ({ ...mount, name: "backup-tmp" })),
    ]),
    name: "backup",
    command: ["sh", `${CONFIG_DIR}/backup.sh`],
    args: [String(backup.keep), why],
  });
  return {
    files,
    gid,
    container: { ...made, securityContext: { ...made.securityContext, runAsUser: uid, runAsGroup: gid } },
    volumes: [files.volume, { name: BACKUPS, persistentVolumeClaim: { claimName: BACKUPS } }, ...scratch],
  };
}
