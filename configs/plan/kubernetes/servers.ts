import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { ServicePlan } from "../../kit/containerPlan";
import { drainSeconds } from "../../kit/steps";
import type { BackendPlan, BoxPlan } from "../../kit/types";
import { deployment } from "./deployment";
import { mountedFiles } from "./files";
import { growthPart, leaderWorkers } from "./growth";
import { clusterOf, roleLabels } from "./names";
import { type Guests, networkPolicy, type Way } from "./networks";
import type { Deployment, PodSpec, Service } from "./objects";
import type { Part } from "./part";
import { CONFIG_DIR, containerOf, memoryVolumes, podSpec, spread, template } from "./pod";
import { GATEWAY_ROLE, workerRoleOf } from "./roles";
import { service, servicePort } from "./service";
import { modelsDirectory, weightsOf } from "./weights";

/** Seconds until no Service sends anything new to a pod that ends. */
const NOTICE_SECONDS = 5;

/** Seconds beyond its own start after which a server that loads its files counts as stuck. */
const LOAD_SECONDS = 4200;

/** How both engines that span nodes are told which of them they are, and what a LeaderWorkerSet calls it. */
const RANK_FLAG = "--node-rank";
const RANK = "$(LWS_WORKER_INDEX)";

/** The servers of all models, each with a Service under the name of its valve, so that routes are what they are on Docker. */
export function serverParts(plan: BoxPlan): Part[] {
  return clusterOf(plan).servers.flatMap((server) => {
    const backend = plan.backends.find(({ instance }) => instance === server.instance);
    return backend ? [serverPart(plan, backend, server)] : [];
  });
}

function serverPart(plan: BoxPlan, backend: BackendPlan, server: ClusterServerPlan): Part {
  const { container, directory } = backend.service;
  const role = container.name;
  const weights = weightsOf(plan, backend, server);
  const hasFiles = Object.keys(directory.files).length > 0;
  const files = hasFiles ? mountedFiles(plan, role, directory) : undefined;
  const spec = serverPod(plan, backend, server, { weights, files });
  const { worker } = server;
  const workerRole = workerRoleOf(role);
  const hub: Way[] = weights.loads ? [{ anywhere: clusterOf(plan).hubPort }] : [];
  // Its nodes talk over ports that they choose themselves.
  const group: Guests[] = [{ roles: [role, workerRole] }];
  const groupWays: Way[] = [{ role }, { role: workerRole }];
  return {
    secrets: [...(files?.secrets ?? []), ...(weights.files?.secrets ?? [])],
    objects: [
      ...(files?.objects ?? []),
      ...(weights.files?.objects ?? []),
      ...weights.claims,
      ...(worker && server.nodes
        ? [
            leaderWorkers(plan, server, {
              role,
              leader: spec,
              worker: { role: workerRole, spec: workerPod(plan, worker, spec) },
            }),
            networkPolicy(plan, workerRole, { ingress: group, egress: [...groupWays, ...hub] }),
          ]
        : [serverDeployment(plan, backend, server, spec)]),
      valveService(plan, backend, server),
      networkPolicy(plan, role, {
        ingress: [
          { roles: [GATEWAY_ROLE], peers: readers(plan, server), ports: [server.port] },
          ...(worker ? group : []),
        ],
        egress: [...(worker ? groupWays : []), ...hub],
      }),
      ...growthPart(plan, backend, server),
    ],
  };
}

/** The same pod with another command, and nothing that asks it: what the first node says goes for all. */
function workerPod(plan: BoxPlan, worker: ServicePlan, leader: PodSpec): PodSpec {
  const [main] = leader.containers;
  const { startupProbe: _, readinessProbe: __, lifecycle: ___, ports: ____, ...rest } = main!;
  const { args, env } = containerOf(plan, worker.container, []);
  const ranked = args.map((word, index) => (args[index - 1] === RANK_FLAG ? RANK : word));
  return { ...leader, containers: [{ ...rest, args: ranked, ...(env ? { env } : {}) }] };
}

/** Who else may ask a model's server: the pool's router, and what reads metrics. */
function readers(plan: BoxPlan, { settings }: ClusterServerPlan) {
  const { monitoring } = clusterOf(plan).settings;
  const namespace = { matchLabels: { "kubernetes.io/metadata.name": monitoring ?? "" } };
  return [
    ...(settings.pool
      ? [{ podSelector: settings.pool.router ? { matchLabels: settings.pool.router } : {} }]
      : []),
    ...(monitoring ? [{ namespaceSelector: namespace }] : []),
  ];
}

function serverPod(
  plan: BoxPlan,
  { service: { container, directory } }: BackendPlan,
  server: ClusterServerPlan,
  {
    weights,
    files,
  }: { weights: ReturnType<typeof weightsOf>; files: ReturnType<typeof mountedFiles> | undefined },
): PodSpec {
  const { settings } = server;
  const memory = memoryVolumes({ ...container, shmMiB: sharedMemory(container) });
  const models = modelsDirectory(plan);
  const scratch = container.mounts.flatMap(({ kind, source, target, readOnly }, index) =>
    kind === "directory" && !readOnly && source !== directory.path && !source.startsWith(models)
      ? [{ name: `scratch-${index}`, mountPath: target }]
      : [],
  );
  const main = containerOf(plan, container, [
    ...(files ? [{ name: files.volume.name, mountPath: CONFIG_DIR, readOnly: true }] : []),
    ...weights.mounts,
    ...scratch,
    ...memory.mounts,
  ]);
  const devices = deviceResources(plan, container.gpu, settings);
  const drain = drainSeconds(container);
  const spec = podSpec(
    plan,
    { ...container, stopGraceSeconds: NOTICE_SECONDS + drain + container.stopGraceSeconds },
    {
      ...(weights.initContainers.length > 0 ? { initContainers: weights.initContainers } : {}),
      containers: [
        {
          ...main,
          ports: [{ name: "http", containerPort: server.port, protocol: "TCP" }],
          resources: {
            requests: { ...main.resources.requests, ...devices },
            limits: { ...main.resources.limits, ...devices },
          },
          lifecycle: { preStop: { exec: { command: ["sh", "-c", drained(server.port, drain)] } } },
        },
      ],
      volumes: [
        ...(files ? [files.volume] : []),
        ...weights.volumes,
        ...(weights.initContainers.length > 0
          ? [{ name: "weights-tmp", emptyDir: { medium: "Memory" as const, sizeLimit: "64Mi" } }]
          : []),
        ...scratch.map(({ name }) => ({ name, emptyDir: {} })),
        ...memory.volumes,
      ],
    },
  );
  const resources = Object.keys(devices).sort();
  return {
    ...spec,
    ...(Object.keys(settings.nodeSelector).length > 0 ? { nodeSelector: settings.nodeSelector } : {}),
    // Nodes with GPUs are often kept free for those who ask for one.
    ...(resources.length > 0
      ? { tolerations: resources.map((key) => ({ key, operator: "Exists", effect: "NoSchedule" }) as const) }
      : {}),
  };
}

/** Half of the limit where Docker would give the host's own: what processes of one pod share, it holds itself. */
function sharedMemory({ ipc, shmMiB, memoryMiB }: BackendPlan["service"]["container"]): number | undefined {
  return shmMiB ?? (ipc === "host" ? Math.floor(memoryMiB / 2) : undefined);
}

/** Whole devices by their number: which ones, the node decides. */
function deviceResources(
  plan: BoxPlan,
  gpu: BackendPlan["service"]["container"]["gpu"],
  { gpuResource, resources }: ClusterServerPlan["settings"],
): Record<string, string> {
  const { gpuResources } = clusterOf(plan).settings;
  const counts = {
    ...(gpu ? { [gpuResource ?? gpuResources[gpu.vendor]]: gpu.ids.length } : {}),
    ...resources,
  };
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, String(count)]));
}

/**
 * What a pod does before its server gets its stop signal, from which on that answers with errors: it waits until nobody has a
 * connection to it, for a bounded time.
 */
function drained(port: number, seconds: number): string {
  const local = port.toString(16).toUpperCase().padStart(4, "0");
  const connected = `grep -qE '^ *[0-9]+: [0-9A-F]+:${local} [0-9A-F]+:[0-9A-F]+ 01 ' /proc/net/tcp /proc/net/tcp6 2>/dev/null`;
  return `sleep ${NOTICE_SECONDS}; left=${seconds}; while [ "$left" -gt 0 ] && ${connected}; do sleep 1; left=$((left - 1)); done`;
}

function serverDeployment(
  plan: BoxPlan,
  { start, service: { container } }: BackendPlan,
  { settings }: ClusterServerPlan,
  spec: PodSpec,
): Deployment {
  const role = container.name;
  const replicas = start === "manual" ? 0 : (settings.replicas ?? 1);
  const isSeveral = replicas > 1 || settings.scale !== undefined;
  return deployment(
    plan,
    role,
    {
      // KEDA counts the pods where it may.
      replicas: settings.scale ? undefined : replicas,
      progressDeadlineSeconds: container.readySeconds + (spec.initContainers ? LOAD_SECONDS : 600),
      // There may be no GPU but the one that the old pod has.
      strategy: isSeveral
        ? { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }
        : { type: "Recreate" },
    },
    template(plan, role, {
      ...spec,
      ...(isSeveral ? { topologySpreadConstraints: spread(plan, role) } : {}),
    }),
  );
}

/** Where the gateways' routes lead: to the server's pods, or to the router before them. */
function valveService(
  plan: BoxPlan,
  { service: server, valve }: BackendPlan,
  plans: ClusterServerPlan,
): Service {
  const { settings, port, servicePort: own } = plans;
  const { router, routerPort = port } = settings.pool ?? {};
  const made = service(plan, server.container.name, [servicePort("http", own, router ? routerPort : port)], {
    name: valve.container.name,
    selector: router ?? roleLabels(plan, server.container.name),
  });
  return settings.affinity === "client"
    ? { ...made, spec: { ...made.spec, sessionAffinity: "ClientIP" } }
    : made;
}
