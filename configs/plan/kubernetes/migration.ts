import type { BoxPlan } from "../../kit/types";
import { backupContainer } from "./backup";
import { mountedFiles } from "./files";
import { clusterOf } from "./names";
import { networkPolicy } from "./networks";
import { onceJob } from "./onceJob";
import type { Part } from "./part";
import { bare, CONFIG_DIR, containerOf, memoryVolumes, podSpec, template } from "./pod";
import { DATABASE_ROLE, MIGRATION_ROLE } from "./roles";
import { POSTGRES_PORT } from "./stores";

/** Two hundred migrations of a large database, and the backup before. */
const MIGRATION_SECONDS = 7200;

/**
 * The migration as a Job that is named by what it does: another image, or another database, is another Job. A backup comes first.
 */
export function migrationPart(plan: BoxPlan): Part {
  const { migration } = clusterOf(plan);
  if (!migration) return { objects: [], secrets: [] };
  const { container } = plan.gateway;
  const files = mountedFiles(plan, MIGRATION_ROLE, migration, "migration");
  const memory = memoryVolumes(container);
  const backup = backupContainer(plan, "before-migration");
  const { DISABLE_SCHEMA_UPDATE: _, ...env } = container.env;
  const main = bare({
    ...containerOf(plan, { ...container, env }, [
      { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
      ...memory.mounts,
    ]),
    command: ["sh"],
    args: [`${CONFIG_DIR}/migrate.sh`],
  });
  const spec = podSpec(
    plan,
    { ...container, stopGraceSeconds: 60 },
    {
      ...(backup ? { initContainers: [backup.container] } : {}),
      containers: [main],
      volumes: [files.volume, ...memory.volumes, ...(backup?.volumes ?? [])],
    },
  );
  const pod = template(plan, MIGRATION_ROLE, {
    ...spec,
    restartPolicy: "Never",
    securityContext: {
      ...spec.securityContext,
      // The backups' volume keeps one group, whoever mounts it.
      ...(backup ? { fsGroup: backup.gid } : {}),
    },
  });
  return {
    secrets: [...files.secrets, ...(backup?.files.secrets ?? [])],
    objects: [
      ...files.objects,
      onceJob(plan, MIGRATION_ROLE, pod, { base: MIGRATION_ROLE, retries: 4, seconds: MIGRATION_SECONDS }),
      networkPolicy(plan, MIGRATION_ROLE, {
        ingress: [],
        // An external one is wherever it is.
        ...(plan.database ? { egress: [{ role: DATABASE_ROLE, port: POSTGRES_PORT }] } : {}),
      }),
    ],
  };
}
