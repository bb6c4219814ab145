import type { KubernetesConfig, ModelKubernetes } from "../schema/kubernetes";
import type { ImageName, OwnImage } from "./imageRoles";
import type { PolicyFinding } from "./problems";
import type { DirectoryPlan, TextPart } from "./text";

/**
 * The plan: plain data that says what a box is made of. It holds no secret value and does no I/O, so the same plan can be
 * tested without mocks, turned into Pulumi resources, and rendered as a Compose file.
 */

/** A directory on the host that a container writes to. */
export interface WritableDirectoryPlan {
  path: string;
  uid: number;
  gid: number;
  /** True: what is made in it belongs to `gid` too, whichever group the container has. */
  sharesGroup?: boolean;
}

export interface NetworkPlan {
  /** Name on the host: `gpubox-<stack>-<role>`, or the given name of a foreign network. */
  name: string;
  role: NetworkRole;
  /** Name of its bridge on the host; absent for a foreign network. */
  bridge?: string;
  /** True for networks that have no way out of the host. */
  internal: boolean;
  /** True for a foreign network: it must exist already, and `down` leaves it. */
  external?: true;
}

/**
 * `edge`: edge and gateways, with a way out. `data`: gateways, Redis, Postgres. `models`: gateways, valves. `backends`: valves,
 * backends. Only with observability: `metrics`: Prometheus, exporters, Alertmanager, Grafana. `dashboards`: Grafana and
 * Alertmanager, with a way out. `joined-…`: gateways or the edge, and containers of others.
 */
export type NetworkRole =
  | "edge"
  | "data"
  | "models"
  | "backends"
  | "metrics"
  | "dashboards"
  | ForeignNetworkRole;

/** A foreign network, made outside gpubox, by its name. */
export type ForeignNetworkRole = `joined-${string}`;

export interface VolumePlan {
  /** Name on the host. Volumes hold data and are kept by every replacement and by `down`. */
  name: string;
}

export type MountPlan =
  | { kind: "directory"; source: string; target: string; readOnly: boolean }
  | { kind: "volume"; source: string; target: string; readOnly: boolean };

export interface PortPlan {
  /** Host address that the port is published on. */
  bind: string;
  port: number;
  containerPort: number;
}

export interface HealthPlan {
  /** Command in exec form, run inside the container. */
  test: string[];
  /** How often Docker runs it. No hash covers it and no drift reports it: boxes of older versions keep theirs. */
  intervalSeconds: number;
  timeoutSeconds: number;
  retries: number;
  startPeriodSeconds: number;
}

/** Devices of the host that a container gets. */
export interface GpuRequest {
  /** NVIDIA's come by a device request, the others' by device files. */
  vendor: "nvidia" | "amd" | "intel";
  /** Indexes, UUIDs, or UUIDs of MIG slices, as the host's config names them. */
  ids: string[];
  /** NVIDIA's by their names in CDI. Default: by NVIDIA's hook. */
  by?: "cdi";
}

export interface UlimitPlan {
  name: "memlock" | "stack" | "nofile";
  /** -1: unlimited. Bytes for `memlock` and `stack`. */
  soft: number;
  hard: number;
}

export interface ContainerPlan {
  /** Logical name in the stack, `edge`, `cache`, `backend-<model>`. It is the resource's identity. */
  name: string;
  /** Which recipe or locked image it runs. */
  role: ImageName;
  /** The image that its model's entry names in place of the role's. */
  ownImage?: OwnImage;
  /** Literal image reference, by digest or by the recipe's hash. */
  image: string;
  entrypoint: string[];
  command: string[];
  /** `uid:gid`. */
  user: string;
  /** Never holds a secret: what is in here shows in `docker inspect`. */
  env: Record<string, string>;
  /** Network role to the names that it answers to there. None: it has no network. */
  networks: { [Role in NetworkRole]?: string[] };
  /** Network role to its own address there. Default: Docker chooses. */
  addresses?: { [Role in NetworkRole]?: string };
  mounts: MountPlan[];
  /** Path to tmpfs options. */
  tmpfs: Record<string, string>;
  /** True: the host itself answers to `host.docker.internal` inside. */
  hostGateway: boolean;
  ports: PortPlan[];
  memoryMiB: number;
  /** Processes and threads at most. */
  pidsLimit: number;
  shmMiB?: number;
  gpu?: GpuRequest;
  ulimits?: UlimitPlan[];
  /** `host`: shares System V and POSIX shared memory with the host. Default: its own. */
  ipc?: "host";
  /** Numeric groups beside the user's own. */
  groupAdd?: string[];
  /** Device files of the host, under the same path inside. */
  devices?: string[];
  /** Capabilities beside none, with their `CAP_` prefix. */
  capAdd?: string[];
  /** Security options beside no-new-privileges. */
  securityOpts?: string[];
  readOnly: boolean;
  /** Has an init as PID 1 that forwards signals and reaps children. */
  init: boolean;
  health: HealthPlan;
  /** Seconds until it must be healthy after it started. */
  readySeconds: number;
  /** Seconds between the stop signal and SIGKILL. */
  stopGraceSeconds: number;
  stopSignal?: string;
  /** False: it is created, but only `gpubox model` starts and stops it; `up` leaves its state alone. */
  started: boolean;
  /** `stop-first` containers leave a gap when they are replaced, `start-first` ones overlap. */
  replacement: "stop-first" | "start-first";
  labels: Record<string, string>;
}

/** A step on the host that is no container and no file, for example bringing a model file into the cache. */
export interface StepPlan {
  name: string;
  /** POSIX sh, run where `docker` reaches the host's engine. Holds no secret. */
  script: string;
  /** Text for its standard input; the only place where a step may have a secret. */
  stdin?: TextPart[];
  /** It runs again when one of these changes, and for no other reason. Without them: when anything of it changes. */
  triggers?: string[];
  /** Files that it brings to the host, where their sizes are known. */
  fetches?: { path: string; bytes: number }[];
  /** The same for a cluster, which has no Docker: what a container runs that writes where the model's server reads. */
  inside?: InsideStep;
}

/** A command that reads a step's standard input. */
export interface InsideStep {
  image: string;
  command: string[];
  env?: Record<string, string>;
  /** True: it loads from a place outside the cluster. */
  loads: boolean;
}

/** A service: its files, its container, and its persistent data. */
export interface ServicePlan {
  container: ContainerPlan;
  directory: DirectoryPlan;
  writable: WritableDirectoryPlan[];
  volume?: VolumePlan;
  /** True: new files are taken by a reload that loses no connection, and the container stays. */
  reloads?: boolean;
  /** The valves before a model server, by their logical names: they close before it stops and open when it starts. */
  valves?: string[];
  /** What stands in for it while it is replaced; absent where it leaves a gap. */
  standIn?: {
    /** Logical name of the container. */
    name: string;
    /** Seconds that requests get to end, at the old server and at the stand-in. */
    drainSeconds: number;
    /** Seconds that it gets a share of the requests before it takes all; absent where it takes all at once. */
    canarySeconds?: number;
  };
  /** Command that must succeed before the service counts as ready, beyond Docker's health check. It runs again when files change. */
  gate?: string;
}

/** How a backend is replaced, and why: the end of "it is replaced …, because …". */
export interface ReplacementChoice {
  kind: "start-first" | "stop-first";
  why: string;
}

/** The same with what it takes. */
export type ReplacementPlan = { why: string } & (
  | { kind: "stop-first" }
  /** `beside` brings a stand-in up with the new plan, proves it, and gives it the requests. */
  | { kind: "start-first"; beside: StepPlan }
);

/** The server of one model: its own backend, or the slot that loads it on request. */
export type ModelServerPlan = Omit<BackendPlan, "needs" | "group" | "replacement">;

/** What keeps the edge's certificate up to date. */
export interface CertificatesPlan extends ServicePlan {
  /** Whether the edge needs it to start, or it needs the edge to get a certificate. */
  order: "before-edge" | "after-edge";
}

export interface BackendPlan {
  /** The model's public name. */
  model: string;
  /** Which of the model's instances: the public name, or that and the instance's own name. */
  instance: string;
  /** `manual`: a person starts it. `ondemand`: its container always runs, and a request loads the model. */
  start: "auto" | "manual" | "ondemand";
  /** The group whose scheduler loads it. */
  group?: string;
  service: ServicePlan;
  valve: ServicePlan;
  replacement: ReplacementPlan;
  /** Seconds that a request waits at the valve while the backend is away. */
  holdSeconds: number;
  /** Bring the model's files to the host before anything is stopped. */
  weights: StepPlan[];
  /** Memory that it takes on each of its devices, where the planner knows it. */
  needs?: DeviceNeed[];
}

/** A rank, other than 0, of a server over several hosts. The stack of rank 0 serves the model. */
export interface WorkerPlan {
  /** The model's public name there. */
  model: string;
  /** That stack. */
  stack: string;
  rank: number;
  service: ServicePlan;
  /** Bring the model's files to this host before anything is stopped. */
  weights: StepPlan[];
}

/** Models that are loaded on demand, each in its own container, and share memory. */
export interface GroupPlan {
  name: string;
  /** Its scheduler. */
  service: ServicePlan;
  /** Public names of its models. */
  models: string[];
  /** Memory that those of them which are loaded may take together on each device; `host` is the host's own memory. */
  budget: DeviceNeed[];
}

/** A container that loads one of its models at a time, at a request. */
export interface SlotPlan {
  name: string;
  service: ServicePlan;
  members: SlotMemberPlan[];
  /** Memory that the largest of its models takes on each of their devices, where the planner knows it. */
  needs?: DeviceNeed[];
}

/** A model that is loaded on demand. */
export interface SlotMemberPlan {
  /** The model's public name. */
  model: string;
  valve: ServicePlan;
  /** Seconds that a request waits at the valve while the slot's container is away. */
  holdSeconds: number;
  /** Bring the model's files to the host before anything is stopped. */
  weights: StepPlan[];
}

/** MiB of one device, or on one. */
export interface DeviceNeed {
  device: string;
  mib: number;
}

export interface GatewayPlan extends ServicePlan {
  /** Hash of everything that a running gateway reads: an immutable generation. */
  generation: string;
  /** What generation.json says: the proof compares it with that of the generation that serves. */
  description: string;
  /** Model name to a hash of its entry: what a change creates or edits is proven. */
  modelHashes: Record<string, string>;
  /** False where there is no database or the image cannot talk to it. */
  usesDatabase: boolean;
  /** What is done before the first container of the generation starts: a backup, then the migration. */
  before: StepPlan[];
  /** Brings teams and keys into the database once the generation serves. */
  access?: StepPlan;
  /** Containers of the generation, all alike. */
  replicas: number;
  /** Seconds that an old generation may take to finish what it has. */
  drainSeconds: number;
}

export interface ObservabilityPlan {
  services: ServicePlan[];
  /**
   * Notes the time of the last change as a metric, once what changed serves. Does nothing where nothing changed; absent
   * where nobody reads metrics.
   */
  change?: StepPlan;
}

/** The stack that owns a host's data directory. */
export interface OwnerPlan extends StepPlan {
  stack: string;
  /** The salt key's fingerprint: two checkouts of one stack have the same. */
  identity: string;
  /** POSIX sh that gives up ownership when the box is removed. */
  remove: string;
}

/** Checks that the disks have space for everything that a change writes. */
export interface SpacePlan extends StepPlan {
  /** Hash of what is stopped after it. */
  before: string;
}

export interface BoxPlan {
  stack: string;
  /** `gpubox-<stack>`, the start of every name on the host. */
  prefix: string;
  /** Address of the Docker engine. */
  docker: string;
  dataDir: string;
  /** Records on the host which stack owns the data directory; absent without a salt key. */
  owner?: OwnerPlan;
  networks: NetworkPlan[];
  /** Comes before anything is stopped. */
  space: SpacePlan;
  cache?: ServicePlan;
  database?: ServicePlan;
  /** Backs the bundled database up. */
  backup?: StepPlan;
  /** Makes the files that engines on one device take turns by; before any backend. Absent without devices. */
  deviceLocks?: StepPlan;
  /** Models with a container of their own. */
  backends: BackendPlan[];
  /** Ranks of models that other stacks serve. */
  workers: WorkerPlan[];
  /** Models that are loaded on demand in one container. */
  slots: SlotPlan[];
  /** What loads models on demand that have containers of their own; their containers are among `backends`. */
  groups: GroupPlan[];
  gateway: GatewayPlan;
  edge: ServicePlan;
  /** Absent where it is off. */
  observability?: ObservabilityPlan;
  /** Absent without TLS, and where the certificate is a secret. */
  certificates?: CertificatesPlan;
  /** Memory that backends outside groups may have on each of the host's devices. */
  devices: DeviceNeed[];
  /** Where clients go. */
  endpoint: string;
  adminEndpoint: string;
  /** Public names, in the order of the config: what /v1/models must list. */
  models: string[];
  /** Sentences for the person who runs `up`: what this plan leaves out, and why. */
  notes: string[];
  /** Policy warnings and waivers. A refused finding leaves no plan. */
  policy: PolicyFinding[];
  /** What only a cluster has; absent in a plan for Docker. */
  cluster?: ClusterPlan;
}

/** What a box on a cluster has beside, or in place of, what it has on Docker. */
export interface ClusterPlan {
  namespace: string;
  settings: KubernetesConfig;
  /** Gateways at least: two, where they can share their counts. */
  gatewayReplicas: number;
  servers: ClusterServerPlan[];
  /** The edge's files: no switch, because a Service leads to the gateways that are ready. */
  edge: DirectoryPlan;
  /** Port of the edge's Service for clients. */
  port: number;
  /** Port that the model hub listens on. */
  hubPort: number;
  /** What identifies the hub's token; absent where there is none. */
  tokenFingerprint?: string;
  /** What a migration reads: no more than it needs, so that nothing else makes it run again. Absent without a database. */
  migration?: DirectoryPlan;
  /** What proves a model through the gateways. */
  proof: DirectoryPlan;
  /** What brings the declared teams, people and keys into the database. Absent without one. */
  access?: DirectoryPlan;
  /** What backs the bundled database up. */
  backup?: { files: DirectoryPlan; keep: number };
}

/** A model server on a cluster. */
export interface ClusterServerPlan {
  /** Which of {@link BoxPlan.backends}. */
  instance: string;
  /** Port that its engine listens on. */
  port: number;
  /** Port of its Service: the one that its valve has on Docker, so that routes stay. */
  servicePort: number;
  settings: ModelKubernetes;
  /** Number of its requests that wait, as a metric of its pods; absent where its engine has none. */
  waitingMetric?: string;
  /** Nodes of one server, where it has several. */
  nodes?: number;
  /** What runs on each of them but the first. */
  worker?: ServicePlan;
  /** Targets of the mounts that its entry names itself. */
  ownMounts: string[];
}
