import type { BoxPlan } from "../../kit/types";
import { backupPart } from "./backup";
import { edgePart } from "./edge";
import type { SecretPlan } from "./files";
import { gatewayPart } from "./gateway";
import { migrationPart } from "./migration";
import { clusterOf, labelsOf } from "./names";
import { closedByDefault } from "./networks";
import type { KubernetesObject, Namespace } from "./objects";
import { type Part, together } from "./part";
import { levelOf } from "./podSecurity";
import { accessPart, proofPart } from "./proof";
import { serverParts } from "./servers";
import { cachePart, databasePart } from "./stores";

/** Kinds in the order in which a cluster wants them: what others need comes first. */
const ORDER = [
  ...["Namespace", "NetworkPolicy", "ConfigMap", "ExternalSecret", "PersistentVolumeClaim", "Service"],
  ...["StatefulSet", "Deployment", "LeaderWorkerSet", "Job", "CronJob", "PodDisruptionBudget"],
  ...["ScaledObject", "InferencePool"],
];

/** A box on a cluster: objects without any secret's value, and what its Secrets hold, by the names of secrets. */
export type Rendered = Part;

/**
 * A plan for a cluster as objects of Kubernetes. Pure: the same plan gives the same objects in the same order. Secrets are apart,
 * because only whoever has the values can make them.
 *
 * @throws Error for a plan that was made for Docker
 */
export function renderKubernetes(plan: BoxPlan): Rendered {
  const { settings } = clusterOf(plan);
  const parts = together(
    edgePart(plan),
    gatewayPart(plan),
    cachePart(plan),
    databasePart(plan),
    migrationPart(plan),
    backupPart(plan),
    accessPart(plan),
    proofPart(plan),
    ...serverParts(plan),
  );
  const objects: KubernetesObject[] = [
    ...(settings.makeNamespace ? [namespaceObject(plan, parts.objects)] : []),
    closedByDefault(plan),
    ...parts.objects,
  ];
  return { objects: inOrder(objects), secrets: eachOnce(parts.secrets) };
}

/** The same, without its Secrets. */
export function kubernetesObjects(plan: BoxPlan): KubernetesObject[] {
  return renderKubernetes(plan).objects;
}

function namespaceObject(plan: BoxPlan, objects: KubernetesObject[]): Namespace {
  const level = levelOf(objects);
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: clusterOf(plan).namespace,
      labels: {
        ...labelsOf(plan, "box"),
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": level,
      },
    },
  };
}

function keyOf({ kind, metadata }: KubernetesObject): string {
  return `${String(ORDER.indexOf(kind)).padStart(2, "0")} ${metadata.name}`;
}

/** By kind and name. What two parts share, they name by what it holds, so it is there once. */
function inOrder(objects: KubernetesObject[]): KubernetesObject[] {
  const known = new Map(objects.map((object) => [keyOf(object), object]));
  return [...known.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

function eachOnce(secrets: SecretPlan[]): SecretPlan[] {
  const known = new Map(secrets.map((secret) => [secret.metadata.name, secret]));
  return [...known.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, secret]) => secret);
}
