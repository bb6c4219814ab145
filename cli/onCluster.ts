import type { Command } from "commander";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { kubectlFor } from "../platform/stack/target";

/** A way out for a stack on a cluster: what does the same there. */
type WayOut = (stack: string, kubectl: string) => string;

const SCALE: WayOut = (_, kubectl) =>
  `Scale its server: ${kubectl} scale deployment backend-MODEL --replicas 1, or 0.`;
const NODES: WayOut = () => "Look at the nodes: kubectl describe nodes.";
const REGISTRY: WayOut = () =>
  "Nodes pull images themselves: push them to a registry that they reach, and name it: gpubox:kubernetes.registry.";
const JOBS: WayOut = () => "Give the run a stack of its own, with a namespace of its own.";
const BENCH: WayOut = () =>
  "Measure it from a box in front that routes to this one by `engine: openai` (docs/kubernetes.md).";
const TRAJECTORIES: WayOut = () =>
  "Log on a box in front that routes to this one by `engine: openai` (docs/kubernetes.md).";
const CANARY: WayOut = () =>
  "Take `canary` out of the entry, or write the new entry in its place, and run `gpubox up`.";

/**
 * Every command for one stack, by its words: `works` on a stack whose target is a cluster, or what to do there in its place.
 */
export const ON_CLUSTER: Record<string, "works" | WayOut> = {
  up: "works",
  preview: "works",
  down: (stack, kubectl) =>
    `Run pulumi destroy --stack ${stack}. The namespace and the claims of database and backups stay: ${kubectl} get pvc.`,
  rollback: (stack, kubectl) =>
    `Bring the file of the generation before back, .gpubox/history/${stack}/GENERATION/stack.yaml, and run \`gpubox up\`. Until then: ${kubectl} rollout undo deployment/gateway.`,
  upgrade: "works",
  "host prepare": () => "Prepare nodes as your cluster wants them: a driver and a device plugin for GPUs.",
  "host status": NODES,
  doctor: "works",
  smoke: "works",
  drift: "works",
  logs: "works",
  usage: "works",
  keys: "works",
  people: "works",
  "models status": "works",
  "models lock": "works",
  "models push": () =>
    "Let a claim of the namespace hold the files: kubernetes: { weights: { claim: NAME } }.",
  "model start": SCALE,
  "model stop": SCALE,
  "model promote": CANARY,
  "model revert": CANARY,
  "model add": "works",
  plan: "works",
  recommend: "works",
  connect: (_, kubectl) =>
    `Point clients at the edge's Service, or at its load balancer: ${kubectl} get service edge.`,
  "cache clear": (_, kubectl) => `Restart it: ${kubectl} rollout restart deployment/cache.`,
  "job start": JOBS,
  "job list": JOBS,
  "job stop": JOBS,
  "job show": JOBS,
  "job prune": JOBS,
  "job render": JOBS,
  "trajectory show": TRAJECTORIES,
  "trajectory check": TRAJECTORIES,
  "trajectory convert": TRAJECTORIES,
  "bench model": BENCH,
  "bench accept": BENCH,
  backup: (_, kubectl) => `Run ${kubectl} create job backup-now --from cronjob/backup.`,
  restore: () => "Follow docs/kubernetes.md, “Restore”.",
  "database reset": (_, kubectl) =>
    `Run ${kubectl} delete statefulset/database pvc/database, then \`gpubox up\`: every key and all spend are gone then.`,
  compose: (stack) => `Print its objects: gpubox manifests --stack ${stack}.`,
  manifests: "works",
  "gateway-config": (stack) => `Print its objects: gpubox manifests --stack ${stack}.`,
  "images save": REGISTRY,
  "images load": REGISTRY,
};

/**
 * Refuses a command that works on a host alone, for a stack whose target is a cluster.
 *
 * @throws UserError with what does the same on a cluster
 */
export function refuseOnCluster(action: Command, stack: string): void {
  const words = wordsOf(action);
  const row = ON_CLUSTER[words];
  if (row === undefined || row === "works") return;
  const kubectl = kubectlHere(stack);
  if (kubectl === undefined) return;
  throw new UserError(
    `\`gpubox ${words}\` is for a box on Docker, and the stack ${stack} is on a cluster.`,
    row(stack, kubectl),
  );
}

/** Whether a stack's target is a cluster: then it has no host to connect to. */
export function isOnCluster(stack: string): boolean {
  return kubectlHere(stack) !== undefined;
}

function kubectlHere(stack: string): string | undefined {
  try {
    return kubectlFor(findProject(), stack);
  } catch (error) {
    // Some commands need no project.
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** A command's words without the program's name: `job start`. */
export function wordsOf(one: Command): string {
  return one.parent ? `${wordsOf(one.parent)} ${one.name()}`.trim() : "";
}
