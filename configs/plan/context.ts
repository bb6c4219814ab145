import type { GpuPlan } from "../gpu/placement";
import type { ModelLock } from "../models/facts";
import type { StackConfig } from "../schema/stack";
import type { SecretFacts } from "../secretFacts";
import type { ImageRole } from "./imageRoles";
import { processesOf } from "./processes";
import type { Resolved } from "./resolved";
import { hashOf } from "./text";
import type { ContainerPlan, FilePlan } from "./types";

/** Name under `assets/` to text: what runs on the host but is not TypeScript. */
export type Assets = Record<string, string>;

/** Everything that a plan is made from. */
export interface PlanInput {
  config: StackConfig;
  secrets: SecretFacts;
  /** `saltFingerprint()` of the salt key. */
  saltFingerprint: string;
  resolved: Resolved;
  /** What is known of the models' files and shapes; absent models are planned without it. */
  lock?: ModelLock;
  assets: Assets;
}

/** What the parts of a plan share. */
export interface PlanContext extends PlanInput {
  /** `gpubox-<stack>`. */
  prefix: string;
  /** How the backends share the host's GPUs. */
  gpus: GpuPlan;
  dataDir: string;
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
  | "replacement";

/** A container's own choices; the rest are the box's hardened defaults. */
export type ContainerChoices = Omit<ContainerPlan, Optional | "labels" | "image"> &
  Partial<Pick<ContainerPlan, Optional>>;

/**
 * A container with the defaults of every container of a box: read-only root, a small tmpfs, no ports, and labels by which
 * the box finds what is its own. `contentHash` is that of the files it mounts: a container whose files changed is another.
 */
export function container(
  context: PlanContext,
  choices: ContainerChoices,
  contentHash: string,
): ContainerPlan {
  const { pidsLimit = processesOf(choices.role), ...own } = choices;
  const spec = {
    env: {},
    tmpfs: { "/tmp": "rw,noexec,nosuid,size=64m" },
    ports: [],
    readOnly: true,
    init: false,
    hostGateway: false,
    started: true,
    replacement: "stop-first" as const,
    image: imageOf(context, choices.role),
    ...own,
  };
  // Without the limit of processes, which a running container takes.
  // The provider neither notices a removed setting nor a changed health check; a label with the hash of all makes both a
  // replacement.
  const hash = hashOf({ spec, contentHash });
  return {
    ...spec,
    pidsLimit,
    labels: { "gpubox.stack": context.config.stack, "gpubox.role": choices.name, "gpubox.spec": hash },
  };
}

export function imageOf(context: PlanContext, role: ImageRole): string {
  const image = context.resolved.images[role];
  // `resolveImages` and `readResolved` go by `imageRolesOf`, which names every role that a plan uses.
  if (!image) throw new Error(`no image is resolved for ${role}`);
  return image.reference;
}

/** Health check of a container that answers within seconds of its start. */
export function health(...test: string[]): ContainerPlan["health"] {
  return { test, intervalSeconds: 3, timeoutSeconds: 5, retries: 5, startPeriodSeconds: 10 };
}
