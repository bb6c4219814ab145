import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { askCluster, clusterAt, json } from "./ask";

const waiting = z.object({ reason: z.string().optional(), message: z.string().optional() });
const ended = z.object({
  reason: z.string().optional(),
  message: z.string().optional(),
  exitCode: z.number(),
  finishedAt: z.string().optional(),
});
const state = z.object({
  waiting: waiting.optional(),
  running: z.object({}).optional(),
  terminated: ended.optional(),
});
const containerStatus = z.object({
  name: z.string(),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: state.prefault({}),
  lastState: state.prefault({}),
});
const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        labels: z.record(z.string(), z.string()).default({}),
        creationTimestamp: z.string().optional(),
        deletionTimestamp: z.string().optional(),
      }),
      spec: z.object({ nodeName: z.string().optional() }).prefault({}),
      status: z
        .object({
          phase: z.string().default("Pending"),
          reason: z.string().optional(),
          message: z.string().optional(),
          conditions: z
            .array(z.object({ type: z.string(), status: z.string(), message: z.string().optional() }))
            .default([]),
          initContainerStatuses: z.array(containerStatus).default([]),
          containerStatuses: z.array(containerStatus).default([]),
        })
        .prefault({}),
    }),
  ),
});

/** How a container of a pod ended. */
export type Ended = z.infer<typeof ended>;

/** A container of a pod, as its node reports it. */
export interface PodContainer {
  name: string;
  /** It runs before the others. */
  init: boolean;
  restarts: number;
  runs: boolean;
  /** Why it does not run yet, in the node's words. */
  waits?: z.infer<typeof waiting>;
  /** How it ended, or how it ended before it was started again. */
  ended?: Ended;
}

/** A pod of a box. */
export interface PodFacts {
  name: string;
  /** The part of the box that it belongs to: `edge`, `backend-tiny`. */
  role: string;
  labels: Record<string, string>;
  phase: string;
  ready: boolean;
  terminating: boolean;
  /** Undefined while no node has it. */
  node?: string;
  /** When it was made: RFC 3339, UTC. */
  madeAt?: string;
  /** Why no node takes it, in the scheduler's words. */
  unplaced?: string;
  /** Why it failed as a whole, for example because its node had no memory left. */
  failed?: string;
  containers: PodContainer[];
}

/**
 * The pods of a stack in its namespace, those that ended included.
 *
 * @throws UserError where the cluster cannot be asked
 */
export async function podsOfStack(plan: BoxPlan): Promise<PodFacts[]> {
  const selector = ["--selector", `gpubox.stack=${plan.stack}`];
  return podsIn(await askCluster(clusterAt(plan), ["get", "pods", ...selector, ...json]));
}

/** Pods in what `kubectl get pods --output json` prints. */
export function podsIn(text: string): PodFacts[] {
  return podList.parse(JSON.parse(text)).items.map(({ metadata, spec, status }) => {
    const condition = (type: string) => status.conditions.find((one) => one.type === type);
    const placed = condition("PodScheduled");
    const containers = [
      ...status.initContainerStatuses.map((one) => containerIn(one, true)),
      ...status.containerStatuses.map((one) => containerIn(one, false)),
    ];
    return {
      name: metadata.name,
      role: metadata.labels["gpubox.role"] ?? "",
      labels: metadata.labels,
      phase: status.phase,
      ready: condition("Ready")?.status === "True",
      terminating: metadata.deletionTimestamp !== undefined,
      ...(spec.nodeName ? { node: spec.nodeName } : {}),
      ...(metadata.creationTimestamp ? { madeAt: metadata.creationTimestamp } : {}),
      ...(placed?.status === "False" ? { unplaced: placed.message ?? "no node takes it" } : {}),
      ...(status.phase === "Failed" && status.reason
        ? { failed: [status.reason, status.message].filter(Boolean).join(": ") }
        : {}),
      containers,
    };
  });
}

function containerIn(
  { name, restartCount, state: now, lastState }: z.infer<typeof containerStatus>,
  init: boolean,
): PodContainer {
  const end = now.terminated ?? lastState.terminated;
  return {
    ...{ name, init, restarts: restartCount, runs: now.running !== undefined },
    ...(now.waiting ? { waits: now.waiting } : {}),
    ...(end ? { ended: end } : {}),
  };
}
