import { amountWords } from "../../platform/kubernetes/quantity";
import type { Demand } from "./demand";
import type { GroundFinding, Site } from "./finding";
import { asQuota, type ClusterGround, type Quota } from "./ground";
import { type Amounts, plus } from "./podSpec";

/** A quota's older names for requests. */
const SYNONYMS: Record<string, string> = {
  cpu: "requests.cpu",
  memory: "requests.memory",
  "count/pods": "pods",
};
/** What a quota counts of objects, by their kind. */
const COUNTED: Record<string, string> = {
  ConfigMap: "configmaps",
  PersistentVolumeClaim: "persistentvolumeclaims",
  Secret: "secrets",
  Service: "services",
};
/** Sums of floats: less than this is nothing. */
const LITTLE = 1e-9;

/** Why a quota of the namespace is too small for the box, or asks for what its pods do not name. */
export function judgeQuotas(demand: Demand, ground: ClusterGround, { namespace }: Site): GroundFinding[] {
  const { sums, own } = countedOf(demand, ground);
  return ground.quotas
    .filter(({ scoped }) => !scoped)
    .flatMap((quota) => [
      ...tooSmall(quota, sums, own, namespace),
      ...unnamed(quota, demand, ground.named, namespace),
    ]);
}

/** What the box will use of a quota, and what it uses of it now. */
function countedOf({ workloads, claims, objects }: Demand, ground: ClusterGround) {
  const pods = workloads.map(({ requests, limits, pods: count }) => times(asQuota(requests, limits), count));
  const counts = (kinds: string[]) => {
    const all: Amounts = {};
    for (const kind of kinds) all[COUNTED[kind] ?? ""] = (all[COUNTED[kind] ?? ""] ?? 0) + 1;
    return all;
  };
  const storage = claims.map(({ bytes, count }) => ({ "requests.storage": bytes * count }));
  const templates = claims
    .filter(
      ({ name }) =>
        !objects.some((one) => one.kind === "PersistentVolumeClaim" && one.metadata.name === name),
    )
    .map(({ count }) => ({ persistentvolumeclaims: count }));
  const mine = ground.present.filter(({ stack }) => stack !== undefined).map(({ kind }) => kind);
  return {
    sums: [...pods, ...storage, ...templates, counts(objects.map(({ kind }) => kind))].reduce(plus, {}),
    own: [ground.own, { "requests.storage": ground.ownStorage }, counts(mine)].reduce(plus, {}),
  };
}

function times(amounts: Amounts, count: number): Amounts {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount * count]));
}

function tooSmall(
  { name, hard, used }: Quota,
  sums: Amounts,
  own: Amounts,
  namespace: string,
): GroundFinding[] {
  return Object.entries(hard).flatMap(([given, limit]): GroundFinding[] => {
    const resource = SYNONYMS[given] ?? given;
    const asked = sums[resource] ?? 0;
    const others = Math.max(0, (used[given] ?? 0) - (own[resource] ?? 0));
    if (asked === 0 || asked + others <= limit + LITTLE) return [];
    const words = (amount: number) => amountWords(resource, amount);
    const rest = others > 0 ? `, of which others use ${words(others)}` : "";
    return [
      {
        path: "gpubox:kubernetes.namespace",
        level: "refused",
        what: `The box needs ${words(asked)} of ${given} at a rollout, and the quota ${name} of the namespace ${namespace} is ${words(limit)}${rest}.`,
        fix: `Ask for a quota of ${words(asked + others)} of ${given}, or let fewer models or replicas run.`,
      },
    ];
  });
}

/** Where a quota counts a compute resource, the API server refuses pods that do not name it. */
function unnamed(
  { name, hard }: Quota,
  { workloads }: Demand,
  named: string[],
  namespace: string,
): GroundFinding[] {
  const counts = Object.keys(hard).map((given) => SYNONYMS[given] ?? given);
  return counts.flatMap((resource): GroundFinding[] => {
    const lacking = workloads.filter((one) => one.unnamed.includes(resource)).map((one) => one.name);
    if (lacking.length === 0 || named.includes(resource)) return [];
    const [kind, compute] = resource.split(".") as [string, string];
    const key = kind === "limits" ? "default" : "defaultRequest";
    return [
      {
        path: "gpubox:kubernetes.namespace",
        level: "refused",
        what: `The quota ${name} of the namespace ${namespace} counts ${resource}, and ${lacking.length} of the box's workloads name none: ${lacking.slice(0, 3).join(", ")}.`,
        fix: `Add a LimitRange of type Container with \`${key}: { ${compute}: … }\` to the namespace.`,
      },
    ];
  });
}
