import type { GpuPlan } from "../capacity/placement";
import type { EngineContainer } from "../engines/engine";
import type { Ranks } from "../engines/nodes";
import type { ContainerPlan } from "../kit/containerPlan";
import type { ImageName } from "../kit/imageRoles";
import { processesOf } from "../kit/processes";
import { type Resolved, resolvedImage } from "../kit/resolved";
import { type FilePlan, hashOf } from "../kit/text";
import type { ModelLock } from "../models/facts";
import type { CanaryConfig } from "../schema/canary";
import type { ExposeConfig, Mode } from "../schema/model";
import type { SecretFacts } from "../secrets/facts";
import type { StackConfig } from "../stack/config";

/** Name under `assets/` to its text: the code on the host that is not TypeScript. */
export type Assets = Record<string, string>;

/** Everything that a plan is made from. */
export interface PlanInput {
  config: StackConfig;
  secrets: SecretFacts;
  /** `saltFingerprint()` of the salt key. */
  saltFingerprint: string;
  resolved: Resolved;
  /** The locked facts about the models' files and shapes; models that are not in it are planned without them. */
  lock?: ModelLock;
  assets: Assets;
  /** What the plan is for. Default: the target that the stack names. */
  target?: "kubernetes";
}

/** What the parts of a plan share. */
export interface PlanContext extends PlanInput {
  /** `gpubox-<stack>`. */
  prefix: string;
  /** How the backends share the host's GPUs. */
  gpus: GpuPlan;
  dataDir: string;
}

/** The input for one backend: a model server that the box runs for one instance of a model. */
export interface BackendSpec {
  /** Public name of the model. */
  model: string;
  /** The instance's identity: names of containers, its port. */
  instance: string;
  engine: EngineContainer;
  start: "auto" | "manual" | "ondemand";
  /** The slot that loads it, for `start: ondemand`. */
  slot?: SlotMembership;
  /** The group whose scheduler loads it, for `start: ondemand` in a container of its own. */
  group?: string;
  /** Which part of a server over several hosts it is. */
  ranks?: Ranks;
  /** True where another instance can take a request that this one cannot. */
  siblings: boolean;
  /** The name by which its server knows the model, and what it is asked for. */
  served: string;
  mode: Mode;
  /** How its entry wants it replaced. */
  replacement?: "start-first" | "stop-first";
  /** The share of the requests by which its entry wants a change tried. */
  canary?: CanaryConfig;
  /** Paths that its valve passes. */
  routes: string[];
  holdSeconds?: number;
  /** Requests at a time, whichever gateway or client they come from. */
  maxParallel?: number;
  /** Processes and threads at most, where the entry says so. */
  pidsLimit?: number;
  expose?: ExposeConfig;
}

/** A model's membership in the slot that loads it. */
export interface SlotMembership {
  name: string;
  /** Seconds without a request until it is unloaded; 0: it stays until another model needs the slot. */
  idleSeconds: number;
}

export function assetText(context: PlanContext, name: string): string {
  const text = context.assets[name];
  if (text === undefined) throw new Error(`asset ${name} is missing`);
  return text;
}

/** An asset as a file of a container's configuration directory. */
export function assetFile(context: PlanContext, name: string): FilePlan {
  return { text: [assetText(context, name)], mode: "0640" };
}

/** Several assets: name in the directory to path under `assets/`. */
export function assetFiles(context: PlanContext, names: Record<string, string>): Record<string, FilePlan> {
  return Object.fromEntries(Object.entries(names).map(([name, asset]) => [name, assetFile(context, asset)]));
}

type Optional =
  | "env"
  | "tmpfs"
  | "ports"
  | "init"
  | "hostGateway"
  | "readOnly"
  | "shmMiB"
  | "pidsLimit"
  | "gpu"
  | "ulimits"
  | "ipc"
  | "groupAdd"
  | "devices"
  | "capAdd"
  | "securityOpts"
  | "stopSignal"
  | "started"
  | "replacement"
  | "addresses";

/** A container's own choices; the rest are the box's hardened defaults. */
export type ContainerChoices = Omit<ContainerPlan, Optional | "labels" | "image"> &
  Partial<Pick<ContainerPlan, Optional>> & {
    /** Stands for `readySeconds` in the hash. Default: itself. */
    hashedReadySeconds?: number;
  };

/**
 * A container with the defaults of every container of a box: read-only root, a small tmpfs, no ports, and labels by which
 * the box finds what is its own. `contentHash` is that of the files it mounts: a container whose files changed is another.
 */
export function container(
  context: PlanContext,
  choices: ContainerChoices,
  contentHash: string,
): ContainerPlan {
  const {
    pidsLimit = processesOf(choices.role),
    hashedReadySeconds: readySeconds = choices.readySeconds,
    ...own
  } = choices;
  const spec = {
    env: {},
    tmpfs: { "/tmp": "rw,noexec,nosuid,size=64m" },
    ports: [],
    readOnly: true,
    init: false,
    hostGateway: false,
    started: true,
    replacement: "stop-first" as const,
    image: imageOf(context, choices.ownImage ?? choices.role),
    ...own,
  };
  // Without the limit of processes, which a running container takes.
  // The provider neither notices a removed setting nor a changed health check; a label with the hash of all makes both a
  // replacement.
  const hash = hashOf({
    spec: { ...spec, readySeconds, health: { ...spec.health, intervalSeconds: HASHED_INTERVAL } },
    contentHash,
  });
  return {
    ...spec,
    pidsLimit,
    labels: { "gpubox.stack": context.config.stack, "gpubox.role": choices.name, "gpubox.spec": hash },
  };
}

export function imageOf(context: PlanContext, name: ImageName): string {
  const image = resolvedImage(context.resolved, name);
  // `resolveImages` and `readResolved` go by `imageRolesOf`, which names every role that a plan uses.
  if (!image) throw new Error(`no image is resolved for ${name}`);
  return image.reference;
}

/** The interval of health checks in older boxes, in seconds. Another one is no reason to replace a container. */
const HASHED_INTERVAL = 3;

/**
 * A container's health check. Each look of Docker costs 75 ms of CPU (measured on 20.10), so it looks seldom; the step that waits for
 * a start asks by itself.
 */
export function health(...test: string[]): ContainerPlan["health"] {
  return { test, intervalSeconds: 10, timeoutSeconds: 5, retries: 5, startPeriodSeconds: 10 };
}
