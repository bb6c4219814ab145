import { z } from "zod";
import { amountOf } from "../../platform/kubernetes/quantity";

/** Amounts by the resource's name: `cpu` in cores, `memory` in bytes, `nvidia.com/gpu` in devices. */
export type Amounts = Record<string, number>;

/** An amount as it stands in an object: `500m`, `2Gi`, 1. */
export const quantity = z.union([z.string(), z.number()]);
const quantities = z.record(z.string(), quantity).default({});
const keyOf = z.object({ name: z.string(), key: z.string(), optional: z.boolean().optional() });
const secretSource = z.object({
  items: z.array(z.object({ key: z.string() })).optional(),
  optional: z.boolean().optional(),
});
const secretRef = z.object({ name: z.string(), optional: z.boolean().optional() });

const container = z.object({
  name: z.string(),
  resources: z.object({ requests: quantities, limits: quantities }).prefault({}),
  restartPolicy: z.string().optional(),
  env: z.array(z.object({ valueFrom: z.object({ secretKeyRef: keyOf.optional() }).optional() })).default([]),
  envFrom: z.array(z.object({ secretRef: secretRef.optional() })).default([]),
});
type Container = z.infer<typeof container>;

/** What is read of a volume claim, or of a template of one. */
export const claimSpec = z.object({
  storageClassName: z.string().optional(),
  resources: z.object({ requests: z.object({ storage: quantity }) }),
});
export type ClaimSpec = z.infer<typeof claimSpec>;

const projection = z.object({ secret: secretSource.extend({ name: z.string() }).optional() });
const volume = z.object({
  name: z.string(),
  ephemeral: z.object({ volumeClaimTemplate: z.object({ spec: claimSpec }) }).optional(),
  image: z.looseObject({}).optional(),
  secret: secretSource.extend({ secretName: z.string() }).optional(),
  projected: z.object({ sources: z.array(projection) }).optional(),
});

/** What is read of a pod. */
export const podSpec = z.object({
  containers: z.array(container),
  initContainers: z.array(container).default([]),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  imagePullSecrets: z.array(z.object({ name: z.string() })).default([]),
  volumes: z.array(volume).default([]),
});
export type PodSpec = z.infer<typeof podSpec>;

/** What a pod must name where a quota counts it. */
const COMPUTE = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"] as const;

/** Quantities as numbers. */
export function numbers(given: Record<string, string | number>): Amounts {
  return Object.fromEntries(Object.entries(given).map(([name, amount]) => [name, amountOf(amount)]));
}

/** The sum of two. */
export function plus(one: Amounts, other: Amounts): Amounts {
  const sum = { ...one };
  for (const [name, amount] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + amount;
  return sum;
}

/** Requests and limits of a pod, as the scheduler counts them: a limit without a request is the request, too. */
export function podAmounts(pod: PodSpec): { requests: Amounts; limits: Amounts } {
  return {
    requests: counted(pod, ({ resources }) => numbers({ ...resources.limits, ...resources.requests })),
    limits: counted(pod, ({ resources }) => numbers(resources.limits)),
  };
}

/** The sum of what runs together, or the largest init container where that is more. */
function counted(pod: PodSpec, of: (one: Container) => Amounts): Amounts {
  const sidecars = pod.initContainers.filter(({ restartPolicy }) => restartPolicy === "Always");
  const first = pod.initContainers.filter(({ restartPolicy }) => restartPolicy !== "Always");
  const all = [...pod.containers, ...sidecars].map(of).reduce(plus, {});
  for (const [name, amount] of first.map(of).flatMap(Object.entries<number>))
    all[name] = Math.max(all[name] ?? 0, amount);
  return all;
}

/** Compute resources for which a container of the pod names no request, or no limit. */
export function unnamedBy(pod: PodSpec): string[] {
  const names = ({ resources: { requests, limits } }: Container, compute: (typeof COMPUTE)[number]) => {
    const [kind, resource] = compute.split(".") as [string, string];
    return resource in limits || (kind === "requests" && resource in requests);
  };
  return COMPUTE.filter((name) =>
    [...pod.containers, ...pod.initContainers].some((one) => !names(one, name)),
  );
}

/** Secrets that the pod cannot start without, the keys of them that it names, and whether nodes pull images by it. */
export function secretsOfPod(pod: PodSpec): { name: string; keys: string[]; pulls: boolean }[] {
  const all = [...pod.containers, ...pod.initContainers];
  const from = (name: string, source: { items?: { key: string }[]; optional?: boolean } | undefined) =>
    source && !source.optional
      ? [{ name, keys: (source.items ?? []).map(({ key }) => key), pulls: false }]
      : [];
  return [
    ...all.flatMap(({ env }) =>
      env.flatMap(({ valueFrom }) => {
        const ref = valueFrom?.secretKeyRef;
        return ref ? from(ref.name, { items: [{ key: ref.key }], optional: ref.optional }) : [];
      }),
    ),
    ...all.flatMap(({ envFrom }) =>
      envFrom.flatMap(({ secretRef: ref }) => (ref ? from(ref.name, { optional: ref.optional }) : [])),
    ),
    ...pod.volumes.flatMap(({ secret, projected }) => [
      ...(secret ? from(secret.secretName, secret) : []),
      ...(projected?.sources ?? []).flatMap(({ secret: one }) => (one ? from(one.name, one) : [])),
    ]),
    ...pod.imagePullSecrets.map(({ name }) => ({ name, keys: [], pulls: true })),
  ];
}
