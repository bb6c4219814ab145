import type { GatewayStatus } from "../../platform/box/edge";
import type { HostState } from "../host/state";

/** What was seen of a box, as plain data. What could not be looked at is undefined: no row is judged by it. */
export interface Facts {
  docker:
    | { state: "answers" }
    | { state: "no-cli" }
    | { state: "denied" }
    | { state: "silent"; reason: string };
  /** Names of the host's networks. */
  networks?: string[];
  /** Containers of the stack, stopped ones too. */
  containers?: ContainerFacts[];
  /** The box's own ports, in the order clients, admin. */
  ports?: PortFacts[];
  /** The clients' port, asked with the key of the stack config for a model that does not exist: 404 where the key is known. */
  listed?: Answer;
  /** The same with the key that a client said it uses. */
  clientKey?: Answer;
  /** A model's name that a client said it uses. */
  clientModel?: string;
  /** What `/health/readiness` says of the database: `connected`. */
  databaseSeen?: string;
  /** From inside a serving gateway: `host:port` to what a connection there met. */
  reach?: Record<string, Reachability>;
  /** What Redis answered to the gateway's password: `PONG`, or why not. Undefined without a cache. */
  redis?: string;
  /** What Postgres said in its own container: `ready`, or why not. */
  postgres?: string;
  /** Instance to what its valve says. */
  valves?: Record<string, ValveFacts>;
  /** The generation that the edge serves, and its view of each gateway. */
  edge?: { generation?: string; gateways: GatewayStatus[] };
  /** Requests that the edge logged lately. */
  requests?: LoggedRequest[];
  /** Names that clients asked for lately and the gateway did not know. */
  unknownModels?: string[];
  host: HostFacts;
}

export interface ContainerFacts {
  /** Name on the host. */
  name: string;
  /** Logical name: `edge`, `backend-tiny`. */
  role: string;
  state: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  health?: "healthy" | "unhealthy" | "starting";
  exitCode: number;
  oomKilled: boolean;
  restarts: number;
  /** Docker's own words of why it did not start. */
  error: string;
  networks: string[];
  /** The generation of a gateway. */
  generation?: string;
  /** Share of its memory limit in percent. */
  memoryPercent?: number;
  /** Of one core, in percent. */
  cpuPercent?: number;
  /** Its last lines, for one that does not run well. */
  lastWords?: string;
  /** What its own health check met, asked just now: `silent` within the time that it gets. Undefined where it was not asked. */
  probe?: "answers" | "silent" | "fails";
  /** Names of its processes that a signal stopped (SIGSTOP): they take connections and answer nothing. */
  halted?: string[];
  /** When it last ended by itself, in words; only where that was within a day and Docker started it again. */
  endedAt?: string;
  /** Kills for want of memory within a day that still say something of this container as it is set. */
  memoryKills?: MemoryKills;
}

export interface MemoryKills {
  count: number;
  /** When, in words. */
  lastAt: string;
  /** Whose memory was at its end. */
  limit: "own" | "host";
}

export interface PortFacts {
  port: number;
  bind: string;
  /** The key that sets it, for example `gpubox:gateway.port`. */
  key: string;
  /** `free`, `this box`, `no address` where this machine has none such, or who holds it. */
  holder: string;
}

/** A status, or why there was none. */
export type Answer = { status: number } | { failed: string };

export type Reachability = "open" | "refused" | "unknown name" | "no answer";

export interface ValveFacts {
  /** HAProxy's word for the backend: `UP`, `DOWN`, `MAINT (resolution)`, `DRAIN`. */
  status: string;
  /** Requests that the backend has now. */
  running: number;
  /** Requests that wait until it is there. */
  held: number;
}

/** A line of the edge's log. */
export interface LoggedRequest {
  /** `clients` or `admin`. */
  frontend: string;
  status: number;
  /** True where the edge answered itself. */
  byEdge: boolean;
  method: string;
  path: string;
}

/** The machine under the box. What a later check of the host's state sees (driver, clocks, drift) belongs here. */
export interface HostFacts {
  /** A host behind SSH that cannot be reached, or whose engine does not answer: why, and what to do. */
  unreachable?: { what: string; fix: string };
  /** What a host behind SSH is like; `here` where the box is on this machine. */
  remote?: RemoteFacts | "here";
  /** Firewall rules that this machine lacks, as `gpubox host prepare` would say. Of a host behind SSH `remote` tells. */
  firewall?: string[];
  disks?: { folders: string[]; freeBytes: number }[];
  memory?: { totalBytes: number; availableBytes: number };
  /** What `nvidia-smi` says. Undefined where the config declares no NVIDIA device. */
  gpus?: GpuFacts;
}

export interface RemoteFacts {
  state: HostState;
  /** What `gpubox host prepare` would do. */
  steps: string[];
  /** Seconds by which its clock is ahead of this machine's. */
  aheadSeconds: number;
  /** Architecture of the stack config. */
  declaredArch: string;
}

export interface FoundGpus {
  /** Indexes and UUIDs, of MIG slices too. */
  ids: string[];
  /** MiB by index and by UUID. Whole devices only: nvidia-smi does not list slices with their memory. */
  memoryMiB: Record<string, number>;
}

export interface GpuFacts {
  /** The NVIDIA devices of the config: index or UUID, and MiB. */
  declared: { id: string; memoryMiB: number }[];
  /** What is there; or why nobody knows. */
  found: FoundGpus | { failed: string };
}
