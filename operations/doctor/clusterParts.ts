import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import {
  CACHE_ROLE,
  DATABASE_ROLE,
  EDGE_ROLE,
  GATEWAY_ROLE,
  workerRoleOf,
} from "../../configs/plan/kubernetes/roles";
import { type Wait, waitOf } from "../kubernetes/waits";
import type { ClusterFacts } from "./clusterFacts";
import { type Finding, logsCommand, type Row, upCommand } from "./row";

/** A part of a box whose pods have to run. */
interface ClusterPart {
  role: string;
  /** `The edge`, `Model tiny`. */
  title: string;
  /** Path of what its memory is in the stack's file. */
  memory?: string;
  /** True: a person starts it. */
  manual?: boolean;
}

function findingsOf(box: BoxPlan, facts: ClusterFacts, part: ClusterPart): Finding[] {
  const { role, title, manual } = part;
  const workload = facts.workloads!.find((one) => one.role === role);
  if (!workload) return [{ what: `${title} is not there.`, fix: `Run ${upCommand(box)}.` }];
  const { wanted, ready, refused, stuck, kind, name } = workload;
  const at = `${kind.toLowerCase()}/${name}`;
  if (wanted === 0 && manual) return [];
  if (wanted === 0)
    return [
      {
        what: `${title} has no pod: somebody scaled it to 0.`,
        fix: `Give it back what the plan says: ${facts.kubectl} scale ${at} --replicas 1, or ${upCommand(box)}.`,
      },
    ];
  if (ready >= wanted && !stuck) return [];
  const waits = facts
    .pods!.filter((pod) => [role, workerRoleOf(role)].includes(pod.role) && !pod.terminating)
    .flatMap((pod) => waitOf(pod) ?? []);
  const wait = waits.find(({ kind: how }) => how !== "starts") ?? waits[0];
  const why = refused ?? wait?.words ?? "the cluster has made no pod yet";
  const changing = stuck ? " Its new pods did not become ready in time, and those before go on." : "";
  return [
    {
      what: `${title}: ${ready} of ${wanted} pods are ready: ${why}.${changing}`,
      fix: refused
        ? `Ask for what the namespace refuses, or give the part less: ${facts.kubectl} describe ${at}.`
        : fixOf(box, facts, part, wait),
    },
  ];
}

function fixOf(
  box: BoxPlan,
  { kubectl }: ClusterFacts,
  { role, title, memory }: ClusterPart,
  wait: Wait | undefined,
): string {
  const logs = `Read ${logsCommand(box, role)}`;
  switch (wait?.kind) {
    case "node":
      return "Free a node or add one that has what the pod asks for, or ask for less in the stack's file.";
    case "image":
      return "Push the image to a registry that nodes reach (gpubox:kubernetes.registry), and see that they may pull it (imagePullSecrets).";
    case "config":
      return `Run ${upCommand(box)}: it makes the Secret or file again that the pod mounts.`;
    case "memory":
      return memory
        ? `Raise ${memory}, then ${upCommand(box)}.`
        : `${logs}; ${title.toLowerCase()} needs more memory than its limit.`;
    case "crash":
      return `${logs}: its last lines say why.`;
    case "failed":
      return `Look at its node: ${kubectl} get pods --selector gpubox.role=${role} --output wide, and kubectl describe node.`;
    default:
      return `Wait, and read ${logsCommand(box, role)}.`;
  }
}

function row(
  id: string,
  symptom: string,
  cause: string,
  parts: (box: BoxPlan) => ClusterPart[],
): Row<ClusterFacts> {
  return {
    ...{ id, symptom, cause },
    check: (box, facts) =>
      facts.workloads && facts.pods ? parts(box).flatMap((part) => findingsOf(box, facts, part)) : undefined,
  };
}

/** Rows about the pods of the box's parts. */
export const clusterPartRows: Row<ClusterFacts>[] = [
  row(
    "edge",
    "`connection refused` at the box's Service, or at its load balancer",
    "no pod of the edge is ready",
    () => [{ role: EDGE_ROLE, title: "The edge" }],
  ),
  row(
    "gateway",
    "503 `No gateway`; or an `up` that does not end",
    "no gateway is ready, or new ones do not pass their proof",
    () => [{ role: GATEWAY_ROLE, title: "The gateway" }],
  ),
  row(
    "model",
    "500 or 503 of one model",
    "its pod waits for a node with a GPU, for its image or its files, or crashes",
    (box) =>
      modelServers(box).map(({ model, instance, start, service }) => ({
        role: service.container.name,
        title: `Model ${instance}`,
        memory: `gpubox:models.${model}.memoryMiB`,
        manual: start === "manual",
      })),
  ),
  row("redis", "limits and cache do nothing", "Redis has no pod that is ready", (box) =>
    box.cache ? [{ role: CACHE_ROLE, title: "Redis" }] : [],
  ),
  row(
    "postgres",
    "401 for every virtual key; a gateway that waits for the schema",
    "Postgres has no pod that is ready",
    (box) => (box.database ? [{ role: DATABASE_ROLE, title: "Postgres" }] : []),
  ),
];
