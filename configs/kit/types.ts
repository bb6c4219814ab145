import type { ClusterPlan } from "./clusterPlan";
import type { NetworkPlan, ServicePlan, StepPlan } from "./containerPlan";
import type { PolicyFinding } from "./problems";

/**
 * The plan: plain data that says what a box is made of. It holds no secret value and does no I/O, so the same plan can be
 * tested without mocks, turned into Pulumi resources, and rendered as a Compose file.
 */

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
