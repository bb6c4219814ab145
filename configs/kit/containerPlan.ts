/** The plan's words for one service: its container, what that is attached to, its files, and the steps around it. */

import type { ImageName, OwnImage } from "./imageRoles";
import type { DirectoryPlan, TextPart } from "./text";

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
  /** Directory of the host that it writes to, and nothing outside of it. */
  directory: string;
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
