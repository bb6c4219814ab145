import type { BoxPlan } from "../../kit/types";
import { clusterOf } from "./names";
import type { KubernetesObject } from "./objects";
import { isBuiltHere } from "./pod";
import { mountsNode, podLevel, templatesOf } from "./podSecurity";

/** What this box lacks on a cluster beside what it has on Docker, a sentence each. */
export function clusterLosses(plan: BoxPlan, objects: KubernetesObject[]): string[] {
  const containers = plan.backends.map(({ service }) => service.container);
  const { settings, servers, gatewayReplicas } = clusterOf(plan);
  const named = (which: typeof plan.backends) => which.map(({ instance }) => instance).join(", ");
  const manual = plan.backends.filter(({ start }) => start === "manual");
  const startFirst = plan.backends.filter(({ replacement }) => replacement.kind === "start-first");
  const held = plan.backends.filter(({ holdSeconds }) => holdSeconds > 0);
  const limited = containers.filter(({ ulimits }) => ulimits);
  const shared = containers.filter(({ ipc }) => ipc);
  const built = imagesOf(objects).filter(isBuiltHere);
  const loads = plan.backends.filter(({ weights }) => weights.some(({ inside }) => inside?.loads));
  const rooted = rootedRoles(objects);
  const onNodes = objects.filter((object) => templatesOf(object).some(mountsNode));
  return [
    ...(held.length > 0
      ? [
          `A request is not held while a model's server is away, and its 503 does not name the model: ${named(held)}. LiteLLM tries again, and answers with its own error.`,
        ]
      : []),
    ...(manual.length > 0
      ? [
          `A model with \`start: manual\` has 0 pods, and every apply brings it back to 0: ${named(manual)}. Start it by \`kubectl scale deployment backend-… --replicas 1\`.`,
        ]
      : []),
    ...(startFirst.length > 0
      ? [
          `A changed server stops before its successor starts, because a node may have no second GPU: ${named(startFirst)}. With \`replicas\` the others go on.`,
        ]
      : []),
    "A model's maxParallel, and gateway.limits.maxParallel, count in each gateway and in each edge: there are two of each.",
    ...(gatewayReplicas === 1
      ? ["There is one gateway, because several need a Redis: a node that goes takes it along for a minute."]
      : []),
    ...(settings.service.type !== "ClusterIP" && !plan.cluster?.edge.files["tls.pem"]
      ? [
          "Clients outside the cluster send their keys in plain text: write gateway.tls with certificate and key as secrets, or let an Ingress or a Gateway with TLS stand before the Service.",
        ]
      : []),
    "A change of the master key: while gateways of both keys run, each refuses the other's key.",
    ...(plan.database
      ? [
          "Nothing tells a lost volume of the database from a first start: Postgres begins an empty one.",
          "Backups are dumps on a volume, unsigned. `pg_restore` brings one back (docs/kubernetes.md).",
        ]
      : []),
    ...(plan.observability
      ? ["Prometheus, Grafana and their exporters are not made: scrape the pods with the cluster's own."]
      : []),
    ...(limited.length > 0
      ? [
          `Limits of locked memory and stacks are those of the node's container runtime: ${limited.map(({ name }) => name).join(", ")}.`,
        ]
      : []),
    ...(shared.length > 0
      ? [`Shared memory is the pod's own and not the host's: ${shared.map(({ name }) => name).join(", ")}.`]
      : []),
    ...(loads.length > 0
      ? [
          `A server that loads its files from the hub may connect to port ${clusterOf(plan).hubPort} anywhere, as long as it lives: ${named(loads)}.`,
        ]
      : []),
    ...(servers.length > 0 ? ["What a server compiles and caches is gone with its pod."] : []),
    "The number of a pod's processes is limited by the kubelet alone, and volumes in memory are not `noexec`.",
    ...(rooted.length > 0
      ? [
          `Pod Security "restricted" refuses these pods, so the namespace has a weaker level: ${rooted.join(", ")}.`,
        ]
      : []),
    ...(onNodes.length > 0
      ? [
          `Pod Security lets pods have a directory of their node at the level "privileged" alone, so the whole namespace has it: ${onNodes.map(({ metadata }) => metadata.name).join(", ")}. Where that may not be, write another weights.volume, or give these models a stack of their own.`,
          "Nobody removes a model's files from nodes: those that no stack uses stay until somebody deletes their directory.",
        ]
      : []),
    ...(built.length > 0 && !settings.registry
      ? [
          `Nodes pull no image that was built here: ${built.join(", ")}. Push them and name the place, gpubox:kubernetes.registry, or load them on every node.`,
        ]
      : []),
  ];
}

function imagesOf(objects: KubernetesObject[]): string[] {
  const images = objects
    .flatMap(templatesOf)
    .flatMap(({ spec }) => [...(spec.initContainers ?? []), ...spec.containers])
    .map(({ image }) => image);
  return [...new Set(images)].sort();
}

function rootedRoles(objects: KubernetesObject[]): string[] {
  return objects.flatMap((object) =>
    templatesOf(object)
      .filter((pod) => !mountsNode(pod))
      .map((pod) => ({ level: podLevel(pod), name: object.metadata.name }))
      .filter(({ level }) => level !== "restricted")
      .map(({ level, name }) => `${name} (${level})`),
  );
}
