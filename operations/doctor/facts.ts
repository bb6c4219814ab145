import type { Failure } from "../../configs/kit/problems";
import type { GatewayStatus } from "../../platform/box/edge";
import type { Disk } from "../../platform/machine";
import type { HostState } from "../host/state";

/** The state of a box, as plain data. A field is undefined when nothing could be read, and then no row judges by it. */
export interface Facts {
  docker:
    | { state: "answers" }
    | { state: "no-cli" }
    | { state: "denied" }
    | { state: "silent"; reason: string };
  /** Names of the host's networks. */
  networks?: string[];
  /** Containers of the stack, including stopped ones. */
  containers?: ContainerFacts[];
  /** The box's own ports: clients first, then admin. */
  ports?: PortFacts[];
  /** Answer of the clients' port to the stack config's key and an unknown model: 404 when the box accepts the key. */
  listed?: Answer;
  /** The same for the key that a client uses. */
  clientKey?: Answer;
  /** The model's name that a client uses. */
  clientModel?: string;
  /** The database according to `/health/readiness`: `connected`. */
  databaseSeen?: string;
  /** Results of connections from inside a serving gateway, by `host:port`. */
  reach?: Record<string, Reachability>;
  /** Redis's answer to the gateway's password: `PONG`, or the failure. Undefined without a cache. */
  redis?: string;
  /** Postgres's state in its own container: `ready`, or the failure. */
  postgres?: string;
  /** State of each instance's valve. */
  valves?: Record<string, ValveFacts>;
  /** The serving generation, and the edge's view of each gateway. */
  edge?: { generation?: string; gateways: GatewayStatus[] };
  /** Requests that the edge logged recently. */
  requests?: LoggedRequest[];
  /** Names that clients requested recently and the gateway did not know. */
  unknownModels?: string[];
  /** Logs that could not be read, or not whole, each as a sentence without its end. */
  unreadLogs?: string[];
  host: HostFacts;
}

export interface ContainerFacts {
  /** Name on the host. */
  name: string;
  /** Logical name: `edge`, `backend-tiny`. */
  role: string;
  state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  health?: "healthy" | "unhealthy" | "starting";
  /** What its health check printed last, when Docker ran it. */
  healthSays?: string;
  exitCode: number;
  oomKilled: boolean;
  restarts: number;
  /** Docker's reason why it did not start. */
  error: string;
  networks: string[];
  /** The generation of a gateway. */
  generation?: string;
  /** Memory use, in percent of its limit. */
  memoryPercent?: number;
  /** In percent of one core. */
  cpuPercent?: number;
  /** Its last log lines, when it does not run well. */
  lastWords?: string;
  /** Result of its own health check, run just now: `silent` when it took too long. Undefined when it was not run. */
  probe?: "answers" | "silent" | "fails";
  /** Names of its processes that a signal stopped (SIGSTOP): they accept connections and answer nothing. */
  halted?: string[];
  /** What its own watchers healed within a day. */
  healed?: { what: "hung" | "resumed" | "starved"; count: number; lastAt: string; why: string }[];
  /** When it last ended by itself, as text. Only if that was within a day and Docker restarted it. */
  endedAt?: string;
  /** Processes killed within a day because memory ran out, as far as they matter for the present container. */
  memoryKills?: MemoryKills;
}

export interface MemoryKills {
  count: number;
  /** As text; undefined where only their number is known. */
  lastAt?: string;
  /** Whose memory ran out. */
  limit: "own" | "host";
}

export interface PortFacts {
  port: number;
  bind: string;
  /** The config key of the port, for example `gpubox:gateway.port`. */
  key: string;
  /** `free`, `this box`, `no address` when this machine does not have the address, or the program that uses it. */
  holder: string;
}

/** A status, or the reason why there was none. */
export type Answer = { status: number } | { failed: string };

export type Reachability = "open" | "refused" | "unknown name" | "no answer";

export interface ValveFacts {
  /** HAProxy's word for the backend: `UP`, `DOWN`, `MAINT (resolution)`, `DRAIN`. */
  status: string;
  /** Requests that the backend is working on. */
  running: number;
  /** Requests that wait until the backend is up. */
  held: number;
}

/** A line of the edge's log. */
export interface LoggedRequest {
  /** `clients` or `admin`. */
  frontend: string;
  status: number;
  /** True when the edge itself answered. */
  byEdge: boolean;
  method: string;
  path: string;
}

/** The machine under the box. Later checks of the host's state (driver, clocks, drift) belong here. */
export interface HostFacts {
  /** Why a host behind SSH cannot be reached or its engine does not answer, and what to do. */
  unreachable?: { what: string; fix: string };
  /** Why `up` refuses this host, with what to do. */
  unfit?: Failure[];
  /** What the host lacks without systemd; undefined with it, and for this machine. */
  withoutSystemd?: Failure;
  /** State of a host behind SSH; `here` when the box is on this machine. */
  remote?: RemoteFacts | "here";
  /**
   * Firewall rules that this machine lacks, in the words of `gpubox host prepare`. For a host behind SSH see `remote`.
   */
  firewall?: string[];
  disks?: Disk[];
  memory?: { totalBytes: number; availableBytes: number };
  /** Output of `nvidia-smi`. Undefined when the config declares no NVIDIA device. */
  gpus?: GpuFacts;
}

export interface RemoteFacts {
  state: HostState;
  /** Steps that `gpubox host prepare` would run. */
  steps: string[];
  /** Seconds by which its clock is ahead of this machine's. */
  aheadSeconds: number;
  /** Architecture of the stack config. */
  declaredArch: string;
}

export interface FoundGpus {
  /** Indexes and UUIDs, including those of MIG slices. */
  ids: string[];
  /** MiB by index and by UUID. Only whole devices, because nvidia-smi does not list the memory of slices. */
  memoryMiB: Record<string, number>;
}

export interface GpuFacts {
  /** The NVIDIA devices of the config: index or UUID, and MiB. */
  declared: { id: string; memoryMiB: number }[];
  /** The devices found, or the reason why nobody knows. */
  found: FoundGpus | { failed: string };
}
