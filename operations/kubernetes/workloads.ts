import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { askCluster, clusterAt, json } from "./ask";

const condition = z.object({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
const workloadList = z.object({
  items: z.array(
    z.object({
      kind: z.string(),
      metadata: z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({ replicas: z.number().default(1) }).prefault({}),
      status: z
        .object({ readyReplicas: z.number().default(0), conditions: z.array(condition).default([]) })
        .prefault({}),
    }),
  ),
});

/** What keeps pods of a part running. */
export interface Workload {
  kind: string;
  name: string;
  role: string;
  /** Pods that it wants; groups of them where a server spans nodes. */
  wanted: number;
  ready: number;
  /** Why the cluster makes no pod of it, in its words: a quota, Pod Security. */
  refused?: string;
  /** A change of it did not become ready in time. */
  stuck: boolean;
}

const GROUPS = "leaderworkersets.leaderworkerset.x-k8s.io";

/**
 * What keeps the pods of a stack running.
 *
 * @throws UserError where the cluster cannot be asked
 */
export async function workloadsOfStack(plan: BoxPlan): Promise<Workload[]> {
  const spans = clusterOf(plan).servers.some(({ nodes }) => nodes !== undefined);
  const kinds = ["deployments.apps", "statefulsets.apps", ...(spans ? [GROUPS] : [])].join();
  const selector = ["--selector", `gpubox.stack=${plan.stack}`];
  return workloadsIn(await askCluster(clusterAt(plan), ["get", kinds, ...selector, ...json]));
}

/** Workloads in what `kubectl get … --output json` prints. */
export function workloadsIn(text: string): Workload[] {
  return workloadList.parse(JSON.parse(text)).items.map(({ kind, metadata, spec, status }) => {
    const failure = status.conditions.find(
      ({ type, status: is }) => type === "ReplicaFailure" && is === "True",
    );
    return {
      ...{ kind, name: metadata.name, role: metadata.labels["gpubox.role"] ?? "" },
      ...{ wanted: spec.replicas, ready: status.readyReplicas },
      stuck: status.conditions.some(({ reason }) => reason === "ProgressDeadlineExceeded"),
      ...(failure ? { refused: failure.message ?? "the cluster refuses its pods" } : {}),
    };
  });
}
