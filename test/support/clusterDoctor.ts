import { kubernetesObjects, renderKubernetes } from "../../configs/plan/kubernetes/render";
import type { ClusterFacts } from "../../operations/doctor/clusterFacts";
import { podsIn } from "../../operations/kubernetes/pods";
import type { Workload } from "../../operations/kubernetes/workloads";
import { clusterStack } from "./cluster";
import { podObject } from "./clusterPods";
import { TINY } from "./clusterStacks";

/** The box that the doctor's cases look at. */
export const { plan: clusterBox } = clusterStack({
  host: { gpus: [{ id: 0, memoryGiB: 80 }] },
  kubernetes: { context: "lab", namespace: "box" },
  models: { tiny: TINY, held: { ...TINY, start: "manual" } },
});

/** Pods as an API server gives them. */
export const pods = (...objects: object[]) => podsIn(JSON.stringify({ items: objects }));

const ROLES = ["edge", "gateway", "cache", "database", "backend-tiny"];
const generation = { "gpubox.generation": clusterBox.gateway.generation };

/** The pods of a box that is well. */
export const wellPods = ROLES.map((role) =>
  podObject(`${role}-1`, role, { labels: role === "gateway" ? generation : {} }),
);

export const workload = (role: string, more: Partial<Workload> = {}): Workload => ({
  ...{ kind: role === "database" ? "StatefulSet" : "Deployment", name: role, role },
  ...{ wanted: 1, ready: 1, stuck: false, ...more },
});

/** Workloads of a box that is well, but for one of them. */
export const workloads = (changed: Workload[] = []) => [
  ...changed,
  ...[...ROLES.map((role) => workload(role)), workload("backend-held", { wanted: 0, ready: 0 })].filter(
    ({ role }) => !changed.some((one) => one.role === role),
  ),
];

/** What a doctor sees of it. */
export const wellCluster: ClusterFacts = {
  namespace: { terminating: false, stack: "test" },
  ground: [{ path: "gpubox:kubernetes", level: "note", what: "A note.", fix: "None." }],
  nodes: [
    {
      ...{ name: "n1", ready: true, why: "it is ready", schedulable: true, pressures: [] },
      devices: { "nvidia.com/gpu": { has: 1, gives: 1 } },
    },
  ],
  workloads: workloads(),
  pods: pods(...wellPods),
  jobs: kubernetesObjects(clusterBox)
    .filter(({ kind }) => kind === "Job")
    .map(({ metadata }) => ({
      ...{ name: metadata.name, role: metadata.labels!["gpubox.role"]!, state: "done", why: "", madeAt: "" },
    })),
  claims: [{ name: "database", role: "database", phase: "Bound" }],
  secrets: renderKubernetes(clusterBox).secrets.map(({ metadata }) => metadata.name),
  listed: { status: 404 },
  listedNames: [...clusterBox.models],
  certificate: { ok: true, said: "for llm.example, until 2027-01-01, by Test" },
  requests: [
    { frontend: "clients", status: 200, byEdge: false, method: "POST", path: "/v1/chat/completions" },
  ],
  unknownModels: [],
  unread: {},
  kubectl: "kubectl --context lab -n box",
};
