import type { OverlapShortage } from "../../configs/capacity/shortage";
import type { PortPlan } from "../../configs/kit/containerPlan";
import type { PolicyFinding } from "../../configs/kit/problems";
import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import type { Interruption } from "../../configs/plan/interruptions";
import type { SecretFacts } from "../../configs/secrets/facts";
import type { StackConfig } from "../../configs/stack/config";

/** One of the two boxes that a preview compares: its inputs and its plan. */
export interface Side {
  /** The config in its file, with keys without prefix, and with the models of other boxes among its own. */
  values: Record<string, unknown>;
  /** The checked config, without the optional models that are left out. */
  config: StackConfig;
  plan: BoxPlan;
  lock: ModelLock;
  resolved: Resolved;
  /** Fingerprints of the file's encrypted texts, never of values. */
  secrets: SecretFacts;
}

/**
 * A key of the stack config that differs. Values are as in the file, but anything that looks like a secret is hidden.
 */
export interface ConfigChange {
  /** `gpubox:models.tiny.ctxSize` */
  path: string;
  /** Undefined: the key is new. */
  before?: string;
  /** Undefined: the key is gone. */
  after?: string;
}

/** Where a part of the box sends requests, and the names of the secrets that it sends with them. */
export interface Destination {
  /** The host first, then the whole address if there is one: `far.example (https://far.example/v1)`. */
  to: string;
  keys: string[];
}

export interface DestinationChange {
  /** The sender: model `far`. */
  who: string;
  /** Undefined: it is new. */
  before?: Destination;
  /** Undefined: it is gone. */
  after?: Destination;
}

export interface ModelChange {
  model: string;
  change: "added" | "removed" | "changed";
  /** Engine and source, for a model that is added or removed. */
  what: string;
  /** The entry, field by field. Empty when only the lock of its files, or its neighbours, differ. */
  fields: ConfigChange[];
}

/** Why a container or its files change. */
export interface Reason {
  /** Which input: image, command, env, mounts, memoryMiB, file haproxy.cfg, secret masterKey. */
  input: string;
  /** What differs in it: `--ctx-size 4096 → 8192`. */
  detail: string;
}

export interface ContainerChange {
  container: string;
  /**
   * `replaced`: a new container instead of the old one. `reloaded`: new files, applied without losing a connection.
   * `written`: new files next to a container that stays. `scaled`: more or fewer copies of the same.
   */
  action: "created" | "deleted" | "replaced" | "reloaded" | "written" | "scaled";
  how: "stop-first" | "start-first";
  /** Copies before and after, when there are several. */
  copies?: { before: number; after: number };
  reasons: Reason[];
}

export interface BackendUse {
  backend: string;
  mib: number;
}

export interface GpuChange {
  device: string;
  before?: GpuUse;
  after?: GpuUse;
}

/** MiB of a device that backends have, in all and each. */
export interface GpuUse {
  totalMiB: number;
  usedMiB: number;
  tenants: BackendUse[];
}

export interface Download {
  kind: "image" | "weights";
  what: string;
  /** Undefined: no lock has the size. */
  bytes?: number;
  /** Why there is no size, or what happens instead of a download. */
  remark?: string;
}

export interface PortUse extends PortPlan {
  container: string;
}

export interface SecretChange {
  /** Its name. Nothing of its value is known here. */
  name: string;
  change: "set" | "set anew" | "removed" | "used" | "no longer used";
  /** Containers whose files contain it. */
  containers: string[];
}

/** Data that a change stops using. */
export interface DataChange {
  what: string;
  fate: "lost" | "kept";
}

/** What differs between two boxes, for a reviewer. */
export interface Changes {
  /** Sections of the config except the models. */
  settings: ConfigChange[];
  models: ModelChange[];
  /** Who receives data from the box, with which keys. */
  destinations: DestinationChange[];
  containers: ContainerChange[];
  gaps: Interruption[];
  /** One-time steps that a rollback cannot undo, a sentence each. */
  steps: string[];
  gpus: GpuChange[];
  /** Devices on which something has to stop before `up`. */
  crowded: OverlapShortage[];
  downloads: Download[];
  ports: { opened: PortUse[]; closed: PortUse[] };
  secrets: SecretChange[];
  data: DataChange[];
}

export interface Preview extends Changes {
  stack: string;
  /** What it is compared with, in words. */
  base: string;
  /** The other side may not be what runs, because an `up` did not finish. */
  unfinished?: boolean;
  policy: PolicyFinding[];
  /** What the plan leaves out, and the limits of this preview. */
  notes: string[];
}
