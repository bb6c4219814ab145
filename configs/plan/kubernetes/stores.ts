import type { ServicePlan } from "../../kit/containerPlan";
import type { BoxPlan } from "../../kit/types";
import { deployment, HISTORY } from "./deployment";
import { mountedFiles } from "./files";
import { clusterOf, meta, roleLabels } from "./names";
import { networkPolicy } from "./networks";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeMount } from "./objects";
import type { Part } from "./part";
import { CONFIG_DIR, containerOf, memoryVolumes, podSpec, template } from "./pod";
import { BACKUP_ROLE, CACHE_ROLE, DATABASE_ROLE, GATEWAY_ROLE, MIGRATION_ROLE } from "./roles";
import { service, servicePort } from "./service";

const REDIS_PORT = 6379;
export const POSTGRES_PORT = 5432;

/** A claim of so many GiB, for one node at a time unless said otherwise. */
export function claimOf(
  plan: BoxPlan,
  gib: number,
  {
    mode = "ReadWriteOnce",
    storageClass,
  }: { mode?: "ReadWriteOnce" | "ReadWriteMany"; storageClass?: string } = {},
): PersistentVolumeClaimSpec {
  const named = storageClass ?? clusterOf(plan).settings.storageClass;
  return {
    accessModes: [mode],
    ...(named ? { storageClassName: named } : {}),
    resources: { requests: { storage: `${gib}Gi` } },
  };
}

/** A claim whose data nobody may lose by taking a line out of a config: what prunes objects is told to leave it. */
export function keptClaim(plan: BoxPlan, role: string, name: string, gib: number): PersistentVolumeClaim {
  const annotations = {
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
  };
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { ...meta(plan, role, name), annotations },
    spec: claimOf(plan, gib),
  };
}

/** Redis. It holds nothing that anybody misses for long, so one is enough. */
export function cachePart(plan: BoxPlan): Part {
  const { cache } = plan;
  if (!cache) return { objects: [], secrets: [] };
  const { files, spec } = storePod(plan, CACHE_ROLE, cache, []);
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      deployment(
        plan,
        CACHE_ROLE,
        {
          replicas: 1,
          progressDeadlineSeconds: cache.container.readySeconds + 60,
          strategy: { type: "Recreate" },
        },
        template(plan, CACHE_ROLE, spec),
      ),
      service(plan, CACHE_ROLE, [servicePort("redis", REDIS_PORT)]),
      networkPolicy(plan, CACHE_ROLE, {
        ingress: [{ roles: [GATEWAY_ROLE], ports: [REDIS_PORT] }],
        egress: [],
      }),
    ],
  };
}

/** Postgres on a volume of its own, which outlives every change and the StatefulSet itself. The claim is apart, so that it can grow. */
export function databasePart(plan: BoxPlan): Part {
  const { database } = plan;
  if (!database) return { objects: [], secrets: [] };
  const { container } = database;
  const data = container.mounts.flatMap(({ kind, target }) =>
    kind === "volume" ? [{ name: "data", mountPath: target }] : [],
  );
  const { files, spec } = storePod(plan, DATABASE_ROLE, database, data);
  const [main] = spec.containers;
  const claim = keptClaim(plan, DATABASE_ROLE, "database", clusterOf(plan).settings.storage.databaseGiB);
  return {
    secrets: files.secrets,
    objects: [
      ...files.objects,
      claim,
      {
        apiVersion: "apps/v1",
        kind: "StatefulSet",
        metadata: meta(plan, DATABASE_ROLE),
        spec: {
          serviceName: DATABASE_ROLE,
          replicas: 1,
          revisionHistoryLimit: HISTORY,
          selector: { matchLabels: roleLabels(plan, DATABASE_ROLE) },
          template: template(plan, DATABASE_ROLE, {
            ...spec,
            containers: [
              { ...main!, lifecycle: { preStop: { exec: { command: ["sh", "-c", FAST_STOP] } } } },
            ],
            volumes: [
              ...spec.volumes,
              { name: "data", persistentVolumeClaim: { claimName: claim.metadata.name } },
            ],
          }),
        },
      },
      service(plan, DATABASE_ROLE, [servicePort("postgres", POSTGRES_PORT)]),
      networkPolicy(plan, DATABASE_ROLE, {
        ingress: [{ roles: [GATEWAY_ROLE, MIGRATION_ROLE, BACKUP_ROLE], ports: [POSTGRES_PORT] }],
        egress: [],
      }),
    ],
  };
}

/** A pod is stopped by SIGTERM, on which Postgres waits for its clients. SIGINT is its fast shutdown. */
const FAST_STOP = "kill -INT 1; while kill -0 1 2>/dev/null; do sleep 0.2; done";

function storePod(plan: BoxPlan, role: string, { container, directory }: ServicePlan, data: VolumeMount[]) {
  const files = mountedFiles(plan, role, directory);
  const memory = memoryVolumes(container);
  const scratch = container.mounts.flatMap(({ kind, target, readOnly }, index) =>
    kind === "directory" && !readOnly ? [{ name: `scratch-${index}`, mountPath: target }] : [],
  );
  const spec = podSpec(plan, container, {
    containers: [
      containerOf(plan, container, [
        { name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true },
        ...data,
        ...scratch,
        ...memory.mounts,
      ]),
    ],
    volumes: [files.volume, ...scratch.map(({ name }) => ({ name, emptyDir: {} })), ...memory.volumes],
  });
  return { files, spec };
}
