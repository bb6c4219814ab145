import type { BoxPlan } from "../../kit/types";
import type { SecretPlan } from "./files";
import type { KubernetesObject, ObjectMeta } from "./objects";
import { templatesOf } from "./podSecurity";
import type { Rendered } from "./render";
import {
  ACCESS_ROLE,
  BACKUP_ROLE,
  CACHE_ROLE,
  DATABASE_ROLE,
  EDGE_ROLE,
  GATEWAY_ROLE,
  MIGRATION_ROLE,
  PROOF_ROLE,
} from "./roles";

/** Kinds whose pods have to be there first. */
const FOLLOWERS = ["ScaledObject", "InferencePool"];

/** What an object is known by within its box: no two of a kind have one name. */
export function objectKey({ kind, metadata }: { kind: string; metadata: ObjectMeta }): string {
  return `${kind}/${metadata.name}`;
}

/** The part of the box that an object belongs to. */
export function roleOf({ metadata }: { metadata: ObjectMeta }): string {
  return metadata.labels?.["gpubox.role"] ?? "box";
}

/**
 * What each object of a box comes after, by {@link objectKey}, for whoever makes one after another and waits. A pod comes after the
 * files and volumes that it mounts and after its own networks; a gateway after the stores, the migration and the servers that it routes
 * to; the proof after the gateway; the edge after the proof. Files and networks of the whole box come before its first pod only as
 * far as that pod needs them, so that a model's change touches nobody else's.
 */
export function orderOf(plan: BoxPlan, { objects, secrets }: Rendered): Map<string, string[]> {
  const namespace = objects.filter(({ kind }) => kind === "Namespace").map(objectKey);
  const before = rolesBefore(plan);
  const makers = objects.filter((object) => templatesOf(object).length > 0);
  const makersOf = (role: string) => makers.filter((object) => roleOf(object) === role).map(objectKey);
  const ground = objects.filter((object) => isGround(object));
  const known = new Set([...objects, ...secrets.map(asObject)].map(objectKey));
  const needs = (object: KubernetesObject): string[] => {
    if (object.kind === "Namespace") return [];
    if (FOLLOWERS.includes(object.kind)) return [...namespace, ...makersOf(roleOf(object))];
    const pods = templatesOf(object);
    if (pods.length === 0) return namespace;
    const roles = ["box", ...pods.map(({ metadata }) => metadata.labels["gpubox.role"] ?? "")];
    return [
      ...namespace,
      ...mounted(object).filter((key) => known.has(key)),
      ...ground.filter((one) => roles.includes(roleOf(one))).map(objectKey),
      ...before(roleOf(object)).flatMap(makersOf),
    ];
  };
  return new Map([
    ...secrets.map((secret): [string, string[]] => [objectKey(asObject(secret)), namespace]),
    ...objects.map((object): [string, string[]] => [objectKey(object), [...new Set(needs(object))]]),
  ]);
}

/** What a pod needs of its own part beside files and volumes. */
function isGround({ kind }: KubernetesObject): boolean {
  return ["NetworkPolicy", "Service", "PodDisruptionBudget"].includes(kind);
}

function asObject({ metadata }: SecretPlan) {
  return { kind: "Secret", metadata };
}

/** Keys of the ConfigMaps, Secrets and claims that an object's pods mount. */
function mounted(object: KubernetesObject): string[] {
  const volumes = templatesOf(object).flatMap(({ spec }) => spec.volumes);
  return volumes.flatMap((volume) => {
    if ("persistentVolumeClaim" in volume)
      return [`PersistentVolumeClaim/${volume.persistentVolumeClaim.claimName}`];
    if (!("projected" in volume)) return [];
    return volume.projected.sources.map((source) =>
      "configMap" in source ? `ConfigMap/${source.configMap.name}` : `Secret/${source.secret.name}`,
    );
  });
}

/** The parts whose pods have to be ready before those of a part are made. */
function rolesBefore({ backends }: BoxPlan): (role: string) => string[] {
  const servers = backends.map(({ service }) => service.container.name);
  const fixed: Record<string, string[]> = {
    [BACKUP_ROLE]: [DATABASE_ROLE],
    [MIGRATION_ROLE]: [DATABASE_ROLE],
    [GATEWAY_ROLE]: [CACHE_ROLE, DATABASE_ROLE, MIGRATION_ROLE, ...servers],
    [PROOF_ROLE]: [GATEWAY_ROLE],
    [ACCESS_ROLE]: [GATEWAY_ROLE],
    [EDGE_ROLE]: [GATEWAY_ROLE, PROOF_ROLE, ACCESS_ROLE],
  };
  return (role) => {
    if (fixed[role]) return fixed[role];
    const index = servers.indexOf(role);
    // Instances of one model one after another: each carries the load while another is replaced.
    const earlier =
      index < 0
        ? -1
        : backends.slice(0, index).findLastIndex(({ model }) => model === backends[index]!.model);
    return earlier < 0 ? [] : [servers[earlier]!];
  };
}
