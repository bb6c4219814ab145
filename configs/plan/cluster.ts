import type { ClusterPlan, ClusterServerPlan } from "../kit/clusterPlan";
import type { ServicePlan } from "../kit/containerPlan";
import { configFile, directory, envFile, type FilePlan } from "../kit/text";
import { HUB_TOKEN } from "../models/weights";
import { PLAIN_MODEL } from "../schema/kubernetes";
import type { OwnContainer } from "../schema/ownContainer";
import type { StackConfig } from "../stack/config";
import { modelPort } from "../stack/instances";
import { gatewayReplicas } from "../stack/replicas";
import { planAccess } from "./access";
import { assetFiles, type BackendSpec, type PlanContext } from "./context";
import { HAPROXY } from "./edge";
import { usesDatabase } from "./gateway";
import { migrationFiles } from "./gatewayVariables";
import { clusterUpstream } from "./haproxy/clusterEdge";
import { nextRank, planServer } from "./model";

/** `nobody`, as which gateways and what works beside them run. */
const NOBODY = 65534;
/** uid and gid of Postgres, in its image. */
const POSTGRES = 999;

/** Name of the edge's Service for clients, and of the gateways' for the edge. */
export const EDGE_SERVICE = "edge";
export const GATEWAY_SERVICE = "gateway";

/** Files of an edge that nothing switches. */
const EDGE_ASSETS = {
  "entrypoint.sh": "kubernetes/edge.sh",
  "hold.lua": "haproxy/hold.lua",
  "body.lua": "haproxy/body.lua",
  "silent.lua": "haproxy/silent.lua",
  "health.sh": "haproxy/health.sh",
  "heal.sh": "health/heal.sh",
};

/** What a server says of the requests in its queue, by engine. */
const WAITING: Record<string, string> = {
  llamacpp: "llamacpp:requests_deferred",
  vllm: "vllm:num_requests_waiting",
  sglang: "sglang:num_queue_reqs",
  tei: "te_queue_size",
};

/** Namespace of a stack's objects. */
export function namespaceOf({ stack, kubernetes }: Pick<StackConfig, "stack" | "kubernetes">): string {
  return (
    kubernetes.namespace ?? `gpubox-${stack.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`.replace(/-$/, "")
  );
}

/** The config as a cluster has it: clients there know the edge by names of the cluster. */
export function clusterConfig(config: StackConfig): StackConfig {
  const namespace = namespaceOf(config);
  const { clusterDomain } = config.kubernetes;
  const names = [
    EDGE_SERVICE,
    ...[`${EDGE_SERVICE}.${namespace}`, `${EDGE_SERVICE}.${namespace}.svc`],
    `${EDGE_SERVICE}.${namespace}.svc.${clusterDomain}`,
  ];
  const hosts = [...new Set([...config.gateway.hosts, ...names])];
  return { ...config, gateway: { ...config.gateway, hosts } };
}

/** What a plan for a cluster has beside the parts that a box on Docker has too. */
export function planCluster(context: PlanContext, backends: BackendSpec[], edge: ServicePlan): ClusterPlan {
  const { config, secrets } = context;
  const files = edge.directory.files;
  const kept = ["haproxy.cfg", "keys.map", "tls.pem"].filter((name) => files[name]);
  return {
    namespace: namespaceOf(config),
    settings: config.kubernetes,
    gatewayReplicas: config.cache.mode === "none" ? 1 : Math.max(2, gatewayReplicas(config, undefined)),
    tokenFingerprint: secrets[HUB_TOKEN]?.fingerprint,
    servers: backends.map((backend) => planClusterServer(context, backend)),
    port: config.gateway.port,
    hubPort: portOf(new URL(config.host.modelHub)),
    edge: directory(
      "",
      HAPROXY,
      {
        ...Object.fromEntries(kept.map((name) => [name, files[name]!])),
        "upstream.cfg": configFile(clusterUpstream(GATEWAY_SERVICE)),
        ...assetFiles(context, EDGE_ASSETS),
      },
      secrets,
    ),
    ...(usesDatabase(context) ? { migration: directory("", NOBODY, migrationFiles(context), secrets) } : {}),
    proof: directory(
      "",
      NOBODY,
      {
        ...assetFiles(context, { "prove.py": "gateway/prove.py" }),
        "master-key": configFile({ secret: "masterKey", as: "raw" }, "\n"),
      },
      secrets,
    ),
    ...(usesDatabase(context) ? { access: directory("", NOBODY, accessFiles(context), secrets) } : {}),
    ...(config.database.mode === "bundled" ? { backup: planClusterBackup(context) } : {}),
  };
}

/** As assets/gateway/access.py looks for them. */
function accessFiles(context: PlanContext): Record<string, FilePlan> {
  return {
    ...assetFiles(context, {
      "access.py": "gateway/access.py",
      "people.py": "gateway/people.py",
      "records.py": "gateway/records.py",
      "prove.py": "gateway/prove.py",
    }),
    "gateway.env": envFile({ LITELLM_MASTER_KEY: [{ secret: "masterKey", as: "shell" }] }),
    "desired.json": configFile(...(planAccess(context).stdin ?? [])),
  };
}

function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === "https:" ? 443 : 80);
}

function planClusterBackup(context: PlanContext): NonNullable<ClusterPlan["backup"]> {
  const files = {
    ...assetFiles(context, { "backup.sh": "kubernetes/backup.sh", "login.sh": "database/login.sh" }),
    password: configFile({ secret: "databasePassword", as: "raw" }),
  };
  return { files: directory("", POSTGRES, files, context.secrets), keep: context.config.backup.keep };
}

function planClusterServer(context: PlanContext, backend: BackendSpec): ClusterServerPlan {
  const { model, instance, engine } = backend;
  const next = nextRank(context, backend);
  const worker = next && planServer(context, next, engine.readySeconds);
  const entry = context.config.models[model]!;
  const { mounts = [] } = entry as OwnContainer;
  return {
    instance,
    port: engine.port,
    servicePort: modelPort(instance),
    settings: ("kubernetes" in entry && entry.kubernetes) || PLAIN_MODEL,
    ...(worker ? { nodes: backend.ranks!.hosts.length, worker } : {}),
    waitingMetric: engine.metricsPath ? WAITING[entry.engine] : undefined,
    ownMounts: mounts.map(({ source, target }) => target ?? source),
  };
}
