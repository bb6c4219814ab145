import { modelServers } from "../../configs/kit/services";
import type { BoxPlan } from "../../configs/kit/types";
import type { Interruption } from "../../configs/plan/interruptions";
import type { KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { roleOf } from "../../configs/plan/kubernetes/order";
import { kubernetesObjects } from "../../configs/plan/kubernetes/render";
import type { Changes, ContainerChange } from "./types";

/** What runs all the time. Jobs come and go. */
type Workload = Extract<KubernetesObject, { kind: "Deployment" | "StatefulSet" | "LeaderWorkerSet" }>;

const MIGRATED =
  "The database is backed up and migrated to the schema of the new gateway image. Nothing undoes that but a restore (docs/kubernetes.md).";

/**
 * The same changes for a box on a cluster. What is replaced there follows from the objects: a valve is a Service, an edge takes new files
 * by rolling, and no request is held.
 *
 * @param before undefined: everything is new
 */
export function onCluster(before: BoxPlan | undefined, after: BoxPlan, changes: Changes): Changes {
  const [old, now] = [before ? workloads(before) : new Map(), workloads(after)];
  const names = [...now.keys(), ...[...old.keys()].filter((name) => !now.has(name))];
  const reasons = new Map(changes.containers.map((change) => [change.container, change.reasons]));
  const containers = names.flatMap((name): ContainerChange[] => {
    const [was, is] = [old.get(name), now.get(name)];
    if (was && is && JSON.stringify(was) === JSON.stringify(is)) return [];
    const action = was ? (is ? "replaced" : "deleted") : "created";
    const how = rolls(is ?? was!) ? "start-first" : "stop-first";
    return [
      { container: name, action, how, reasons: action === "replaced" ? (reasons.get(name) ?? []) : [] },
    ];
  });
  const stopped = containers.filter(({ action, how }) => action === "replaced" && how === "stop-first");
  const isStopped = (name: string) => stopped.some(({ container }) => container === name);
  return {
    ...changes,
    containers,
    gaps: [
      ...changes.gaps.filter(
        ({ container }) => ["cache", "database"].includes(container) && isStopped(container),
      ),
      ...stopped.flatMap(({ container }) => gapOf(after, container, now.get(container)!, isStopped)),
    ],
    steps: changes.steps.length > 0 ? [MIGRATED] : [],
    // Volumes and directories of a host are not there.
    data: changes.data.filter(({ fate }) => fate === "lost"),
    // What a container publishes on a host, a Service has here.
    ports: { opened: [], closed: [] },
  };
}

function workloads(plan: BoxPlan): Map<string, Workload> {
  return new Map(
    kubernetesObjects(plan).flatMap((object) =>
      object.kind === "Deployment" || object.kind === "StatefulSet" || object.kind === "LeaderWorkerSet"
        ? [[roleOf(object), object]]
        : [],
    ),
  );
}

/** True where the new pods are ready before the old ones go. */
function rolls(workload: Workload): boolean {
  return workload.kind === "Deployment" && workload.spec.strategy.type === "RollingUpdate";
}

/** What clients notice while a model's server is replaced. */
function gapOf(
  plan: BoxPlan,
  container: string,
  workload: Workload,
  isStopped: (name: string) => boolean,
): Interruption[] {
  const servers = modelServers(plan);
  const server = servers.find(({ service }) => service.container.name === container);
  if (!server) return [];
  const { model } = server;
  const others = servers.filter((one) => one.model === model && one !== server);
  const isCarried = others.some(({ service }) => !isStopped(service.container.name));
  const mostSeconds =
    workload.kind === "Deployment"
      ? workload.spec.progressDeadlineSeconds
      : server.service.container.readySeconds;
  const source = "the deadline of its rollout";
  return isCarried
    ? [
        {
          ...{ container, models: [], unnoticed: true, mostSeconds, source },
          notice: `${model}: one of its servers is replaced; the others take its requests meanwhile.`,
        },
      ]
    : [
        {
          ...{ container, models: [model], mostSeconds, source },
          notice: `${model}: its server stops before the new one starts, and requests to it fail until that one is ready.`,
        },
      ];
}
