import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { BackendPlan, BoxPlan } from "../../kit/types";
import { clusterOf, meta, roleLabels } from "./names";
import type { InferencePool, KubernetesObject, LeaderWorkerSet, PodSpec, ScaledObject } from "./objects";
import { template } from "./pod";
import { disruptionBudget } from "./service";

/** Seconds without need after which a pod goes: a model loads for minutes, so it does not go at once. */
const COOLDOWN_SECONDS = 600;

/** What a model has that grows beyond one pod. Each needs something of the cluster's, so each is asked for. */
export function growthPart(
  plan: BoxPlan,
  backend: BackendPlan,
  server: ClusterServerPlan,
): KubernetesObject[] {
  const { settings } = server;
  const scaled = scaledObject(plan, backend, server);
  const isSeveral = (settings.replicas ?? 1) > 1 || scaled !== undefined;
  return [
    ...(isSeveral ? [disruptionBudget(plan, backend.service.container.name)] : []),
    ...(scaled ? [scaled] : []),
    ...(settings.pool ? [inferencePool(plan, backend, server)] : []),
  ];
}

function scaledObject(
  plan: BoxPlan,
  { service }: BackendPlan,
  { settings, waitingMetric }: ClusterServerPlan,
): ScaledObject | undefined {
  const { prometheus } = clusterOf(plan).settings;
  const { scale } = settings;
  if (!scale || !waitingMetric || !prometheus) return undefined;
  const role = service.container.name;
  const pods = `namespace="${clusterOf(plan).namespace}",pod=~"${role}-[a-z0-9]+-[a-z0-9]+"`;
  return {
    apiVersion: "keda.sh/v1alpha1",
    kind: "ScaledObject",
    metadata: meta(plan, role),
    spec: {
      scaleTargetRef: { name: role },
      minReplicaCount: scale.min,
      maxReplicaCount: scale.max,
      cooldownPeriod: COOLDOWN_SECONDS,
      triggers: [
        {
          type: "prometheus",
          metadata: {
            serverAddress: prometheus,
            query: `sum({__name__="${waitingMetric}",${pods}}) or vector(0)`,
            threshold: String(scale.waiting),
          },
        },
      ],
    },
  };
}

function inferencePool(
  plan: BoxPlan,
  { service }: BackendPlan,
  { settings, port }: ClusterServerPlan,
): InferencePool {
  const role = service.container.name;
  const { picker = "", pickerPort = 0 } = settings.pool ?? {};
  return {
    apiVersion: "inference.networking.k8s.io/v1",
    kind: "InferencePool",
    metadata: meta(plan, role),
    spec: {
      selector: { matchLabels: roleLabels(plan, role) },
      targetPorts: [{ number: port }],
      // Without its picker a pool still answers, by turns.
      endpointPickerRef: { name: picker, port: { number: pickerPort }, failureMode: "FailOpen" },
    },
  };
}

interface GroupPods {
  role: string;
  leader: PodSpec;
  worker: { role: string; spec: PodSpec };
}

/** A server over several nodes: they start together, and one that fails takes the others along. */
export function leaderWorkers(
  plan: BoxPlan,
  { nodes = 1, settings }: ClusterServerPlan,
  { role, leader, worker }: GroupPods,
): LeaderWorkerSet {
  return {
    apiVersion: "leaderworkerset.x-k8s.io/v1",
    kind: "LeaderWorkerSet",
    metadata: meta(plan, role),
    spec: {
      replicas: settings.replicas ?? 1,
      startupPolicy: "LeaderCreated",
      rolloutStrategy: {
        type: "RollingUpdate",
        rollingUpdateConfiguration: { maxUnavailable: 1, maxSurge: 0 },
      },
      leaderWorkerTemplate: {
        size: nodes,
        restartPolicy: "RecreateGroupOnPodRestart",
        leaderTemplate: template(plan, role, leader),
        workerTemplate: template(plan, worker.role, worker.spec),
      },
    },
  };
}
