import { z } from "zod";
import { amountOf } from "../../platform/kubernetes/quantity";
import {
  type Amounts,
  type ClaimSpec,
  claimSpec,
  podAmounts,
  podSpec,
  quantity,
  secretsOfPod,
  unnamedBy,
} from "./podSpec";

/** An object for the API server, as far as every kind has it. */
export interface ClusterObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
}

/** The pods that one object makes. */
export interface Workload {
  kind: string;
  name: string;
  /** The entry of `gpubox:models` that it serves; undefined for the box's own parts. */
  model?: string;
  /** How many pods it has at once, while it is rolled out. */
  pods: number;
  /** What one pod requests, and what it is limited to. */
  requests: Amounts;
  limits: Amounts;
  /** Compute resources that a container of it names no request or no limit for: `limits.cpu`. */
  unnamed: string[];
  /** Labels that a node must have. */
  nodeSelector: Record<string, string>;
  /** The pod as an object of its own, for the API server to judge. */
  pod: Record<string, unknown>;
}

/** Whether a node's labels are those that pods ask for. */
export function fits(labels: Record<string, string>, selector: Record<string, string>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** A volume claim. */
export interface Claim {
  name: string;
  /** Undefined: the cluster's default. */
  storageClass?: string;
  bytes: number;
  /** How many volumes it becomes: one for each pod, but for a claim that is an object of its own. */
  count: number;
}

/** A Secret that pods read and that is no object of the box. */
export interface SecretDemand {
  name: string;
  /** Keys that pods name. Empty: any. */
  keys: string[];
  /** Who reads it. */
  by: string[];
  /** It is the key of an image registry, which is no secret of the stack. */
  pulls: boolean;
}

/** What the objects of a box ask of a cluster. */
export interface Demand {
  objects: ClusterObject[];
  /** Parts of the box to the entry of `gpubox:models` that each serves. */
  models: Record<string, string>;
  workloads: Workload[];
  claims: Claim[];
  secrets: SecretDemand[];
}

const template = z.object({
  metadata: z.looseObject({ labels: z.record(z.string(), z.string()).optional() }).prefault({}),
  spec: z.looseObject({}),
});
type Template = z.infer<typeof template>;

const strategy = z.object({
  type: z.string().optional(),
  rollingUpdate: z.object({ maxSurge: quantity.optional() }).optional(),
});

const spec = z.object({
  replicas: z.number().optional(),
  parallelism: z.number().optional(),
  strategy: strategy.optional(),
  template: template.optional(),
  jobTemplate: z.object({ spec: z.object({ parallelism: z.number().optional(), template }) }).optional(),
  leaderWorkerTemplate: z
    .object({ size: z.number().default(1), leaderTemplate: template.optional(), workerTemplate: template })
    .optional(),
  volumeClaimTemplates: z
    .array(z.object({ metadata: z.object({ name: z.string() }), spec: claimSpec }))
    .default([]),
  // Of KEDA's ScaledObject.
  maxReplicaCount: z.number().optional(),
  scaleTargetRef: z.object({ kind: z.string().optional(), name: z.string() }).optional(),
  // Of an ExternalSecret.
  target: z.object({ name: z.string().optional() }).optional(),
});

/** Label of an object with the part of the box that it belongs to. */
const ROLE_LABEL = "gpubox.role";

/**
 * Reads from the objects of a box what they ask of a cluster.
 *
 * @param models parts of the box to the entry of `gpubox:models` that each serves
 * @param made names of Secrets that come with the objects
 */
export function demandOf(
  objects: ClusterObject[],
  models: Record<string, string> = {},
  made: string[] = [],
): Demand {
  const most = new Map(
    objects.flatMap((object): [string, number][] => {
      const { scaleTargetRef: to, maxReplicaCount } = specOf(object);
      return to && maxReplicaCount ? [[`${to.kind ?? "Deployment"} ${to.name}`, maxReplicaCount]] : [];
    }),
  );
  return {
    objects,
    models,
    workloads: objects.flatMap((one) =>
      workloadsOf(one, models, most.get(`${one.kind} ${one.metadata.name}`)),
    ),
    claims: objects.flatMap(claimsOf),
    secrets: secretsOf(objects).filter(({ name }) => !made.includes(name)),
  };
}

/** Of a kind that has another `spec`, or none, nothing is asked here. */
function specOf(object: ClusterObject): z.infer<typeof spec> {
  return z.object({ spec }).safeParse(object).data?.spec ?? { volumeClaimTemplates: [] };
}

/** The entry of `gpubox:models` that an object serves; undefined for the box's own parts. */
export function modelOf({ metadata }: ClusterObject, models: Record<string, string>): string | undefined {
  return models[metadata.labels?.[ROLE_LABEL] ?? ""];
}

function workloadsOf(
  object: ClusterObject,
  models: Record<string, string>,
  most: number | undefined,
): Workload[] {
  return templatesOf(object, most).map(({ template: { metadata, spec: given }, pods }) => {
    const pod = podSpec.parse(given);
    return {
      kind: object.kind,
      name: object.metadata.name,
      model: modelOf(object, models),
      pods,
      ...podAmounts(pod),
      unnamed: unnamedBy(pod),
      nodeSelector: pod.nodeSelector,
      pod: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, generateName: `${object.metadata.name}-` },
        spec: given,
      },
    };
  });
}

function templatesOf(object: ClusterObject, most = 0): { template: Template; pods: number }[] {
  const { replicas = 1, parallelism = 1, template: own, ...given } = specOf(object);
  if (given.leaderWorkerTemplate) {
    const { size, leaderTemplate, workerTemplate } = given.leaderWorkerTemplate;
    const leaders = leaderTemplate ? [{ template: leaderTemplate, pods: replicas }] : [];
    const workers = { template: workerTemplate, pods: replicas * (size - leaders.length) };
    return [...leaders, workers].filter(({ pods }) => pods > 0);
  }
  if (given.jobTemplate)
    return [{ template: given.jobTemplate.spec.template, pods: given.jobTemplate.spec.parallelism ?? 1 }];
  if (!own) return [];
  if (object.kind === "Job") return [{ template: own, pods: parallelism }];
  const wanted = Math.max(replicas, most);
  const rolls = object.kind === "Deployment" && given.strategy?.type !== "Recreate";
  const surge = rolls ? surgeOf(given.strategy?.rollingUpdate?.maxSurge ?? "25%", wanted) : 0;
  return wanted === 0 ? [] : [{ template: own, pods: wanted + surge }];
}

/** How many pods a Deployment may have above its replicas. A share is rounded up, as the controller does. */
function surgeOf(maxSurge: string | number, replicas: number): number {
  const [, percent] = /^(\d+)%$/.exec(String(maxSurge)) ?? [];
  return percent === undefined ? Number(maxSurge) : Math.ceil((replicas * Number(percent)) / 100);
}

function claimsOf(object: ClusterObject): Claim[] {
  const of = object.metadata.name;
  const { replicas = 1, volumeClaimTemplates } = specOf(object);
  if (object.kind === "PersistentVolumeClaim")
    return [claim(of, 1, z.object({ spec: claimSpec }).parse(object).spec)];
  const ephemeral = templatesOf(object).flatMap(({ template: one, pods }) =>
    podSpec
      .parse(one.spec)
      .volumes.flatMap(({ name, ephemeral: own }) =>
        own ? [claim(`${of}-${name}`, pods, own.volumeClaimTemplate.spec)] : [],
      ),
  );
  const kept = volumeClaimTemplates.map(({ metadata, spec: own }) =>
    claim(`${metadata.name}-${of}`, replicas, own),
  );
  return [...kept, ...ephemeral];
}

function claim(name: string, count: number, { storageClassName, resources }: ClaimSpec): Claim {
  const bytes = amountOf(resources.requests.storage);
  return {
    name,
    ...(storageClassName === undefined ? {} : { storageClass: storageClassName }),
    bytes,
    count,
  };
}

/** Secrets that pods read, less those that are objects themselves or that an ExternalSecret makes. */
function secretsOf(objects: ClusterObject[]): SecretDemand[] {
  const made = objects.flatMap((object) => {
    if (object.kind === "Secret") return [object.metadata.name];
    return object.kind === "ExternalSecret" ? [specOf(object).target?.name ?? object.metadata.name] : [];
  });
  const found = new Map<string, SecretDemand>();
  for (const object of objects)
    for (const { template: one } of templatesOf(object))
      for (const { name, keys, pulls } of secretsOfPod(podSpec.parse(one.spec))) {
        if (made.includes(name)) continue;
        const known = found.get(name) ?? { name, keys: [], by: [], pulls };
        found.set(name, {
          ...known,
          keys: [...new Set([...known.keys, ...keys])],
          by: [...new Set([...known.by, object.metadata.name])],
        });
      }
  return [...found.values()];
}
