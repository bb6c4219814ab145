import { table } from "../../configs/kit/table";
import type { BoxPlan, ModelServerPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import { workerRoleOf } from "../../configs/plan/kubernetes/roles";
import type { StackConfig } from "../../configs/stack/config";
import { instancesOf } from "../../configs/stack/instances";
import type { PodFacts } from "../kubernetes/pods";
import { waitOf } from "../kubernetes/waits";
import type { Workload } from "../kubernetes/workloads";
import { declaredModel, type ModelStatus } from "./status";

/** The state of a model's server on a cluster. */
export interface ClusterModelStatus extends ModelStatus {
  /** Its pods, or the groups of them where it spans nodes; null for one outside this box's pods. */
  replicas: { ready: number; wanted: number } | null;
  /** Nodes that have its pods. */
  nodes: string[];
}

/** Observations of a box on a cluster. */
export interface ClusterModelFacts {
  workloads: Workload[];
  pods: PodFacts[];
  /** The list of `/v1/models`; undefined when it did not answer. */
  listed?: string[];
}

/** How long a process that the kernel killed is told of, in milliseconds. */
const DAY_MS = 86_400_000;

/** Every declared model, with one line for each instance. Nobody counts requests there: a Service has no counter. */
export function clusterModelStatus(
  config: StackConfig,
  box: BoxPlan,
  { workloads, pods, listed }: ClusterModelFacts,
  now = new Date(),
): ClusterModelStatus[] {
  return Object.entries(config.models).flatMap(([model, entry]) =>
    instancesOf(model, entry).map(({ id: instance }): ClusterModelStatus => {
      const common = {
        ...declaredModel(model, instance, entry, listed),
        ...{ requestsPerMinute: null, requestsNow: null },
      };
      const backend = modelServers(box).find((one) => one.instance === instance);
      if (!backend) {
        const nothing = { up: null, loaded: null, memoryKills: null, replicas: null, nodes: [] };
        return { ...common, ...nothing, state: "elsewhere" };
      }
      const role = backend.service.container.name;
      const workload = workloads.find((one) => one.role === role);
      const own = pods.filter((pod) => [role, workerRoleOf(role)].includes(pod.role) && !pod.terminating);
      const kills = own.flatMap(({ containers }) =>
        containers.filter(
          ({ ended }) =>
            ended?.reason === "OOMKilled" &&
            now.getTime() - new Date(ended.finishedAt ?? now).getTime() < DAY_MS,
        ),
      );
      const { ready = 0, wanted = 0 } = workload ?? {};
      return {
        ...common,
        up: own.some(({ containers }) => containers.some(({ init, runs }) => runs && !init)),
        loaded: ready > 0,
        state: stateOf(workload, own, backend.start),
        memoryKills: kills.length,
        replicas: { ready, wanted },
        nodes: [...new Set(own.flatMap(({ node }) => (node ? [node] : [])))].sort(),
      };
    }),
  );
}

function stateOf(workload: Workload | undefined, pods: PodFacts[], start: ModelServerPlan["start"]): string {
  if (!workload) return "not brought up";
  const { wanted, ready, refused } = workload;
  if (wanted === 0) return start === "manual" ? "not started" : "scaled to 0";
  if (ready >= wanted) return "loaded";
  const waits = pods.flatMap((pod) => waitOf(pod) ?? []);
  // What is wrong says more than what only starts.
  const why = waits.find(({ kind }) => kind !== "starts") ?? waits[0];
  const words = refused ? `the cluster makes no pod: ${refused}` : (why?.words ?? "no pod yet");
  return ready > 0 ? `loaded, ${wanted - ready} of ${wanted} not: ${words}` : words;
}

/** The table for people. */
export function clusterStatusTable(all: ClusterModelStatus[]): string {
  const rows = all.map(({ model, instance, engine, state, listed, replicas, nodes, aliases }) => [
    instance === model ? model : `${model} (${instance})`,
    engine,
    replicas ? `${replicas.ready}/${replicas.wanted}` : "–",
    listed === false ? `${state}, not served yet` : state,
    nodes.join(", "),
    aliases.join(", "),
  ]);
  const head = ["MODEL", "ENGINE", "READY", "STATE", "NODES", "ALSO CALLED"];
  return table(head, rows, () => false).join("\n");
}
