import { parse } from "yaml";
import type { ContainerPlan } from "../../configs/kit/containerPlan";
import { imageRoles } from "../../configs/kit/imageRoles";
import { ConfigError } from "../../configs/kit/problems";
import type { Resolved } from "../../configs/kit/resolved";
import { renderText } from "../../configs/kit/text";
import type { BackendPlan } from "../../configs/kit/types";
import type { LockedModel, ModelLock } from "../../configs/models/facts";
import { parseStack } from "../../configs/parse";
import { LOCK_COMMAND } from "../../configs/plan/deviceLock";
import type { OwnFiles } from "../../configs/stack/ownFiles";
import { rawStack, testPlan, testSecrets } from "./stacks";

/** Four NVIDIA devices of two sizes. */
export const gpuHost = {
  gpus: [
    { id: 0, memoryGiB: 80, computeCapability: "9.0" },
    { id: 1, memoryGiB: 80, computeCapability: "9.0" },
    { id: 2, memoryGiB: 24, computeCapability: "8.9" },
    { id: 3, memoryGiB: 24, computeCapability: "8.9" },
  ],
};

/** Two devices of AMD's. */
export const amdHost = {
  gpus: [
    { id: 0, memoryGiB: 192, vendor: "amd" },
    { id: 1, memoryGiB: 192, vendor: "amd" },
  ],
  gpuGroups: [44, 992],
};

/** Every image by its role's name. */
export const everyImage: Resolved = {
  images: Object.fromEntries(
    imageRoles.map((role) => [role, { reference: `image/${role}`, source: "digest" as const }]),
  ),
  offlineModels: [],
  knownModels: [],
};

/** What a lock file says of a model, with some of its shape replaced. */
export function locked(shape: Partial<LockedModel["shape"]> = {}, weightBytes = 15_000_000_000): LockedModel {
  return {
    revision: "0123456789abcdef0123456789abcdef01234567",
    format: "safetensors",
    files: [{ path: "config.json", bytes: 700 }],
    weightBytes,
    layerBytes: weightBytes * 0.9,
    inputBytes: 0,
    quantization: "bfloat16",
    shape: {
      architecture: "Qwen3ForCausalLM",
      contextLength: 40_960,
      layers: 36,
      hiddenSize: 4096,
      attentionHeads: 32,
      vocabularySize: 151_936,
      parameters: 8_000_000_000,
      attention: [{ layers: 36, kind: "full", kvHeads: 8, keyLength: 128, valueLength: 128 }],
      experts: 0,
      vision: false,
      audio: false,
      task: "chat",
      ...shape,
    },
    resolvedAt: "2026-11-21T00:00:00.000Z",
  };
}

interface Surroundings {
  host?: Record<string, unknown>;
  secrets?: Record<string, string>;
  /** What the lock file says of the entry's model. */
  lock?: LockedModel;
  /** And of other sources. */
  locks?: ModelLock;
  /** The files beside the stack file. */
  ownFiles?: OwnFiles;
}

/** Undefined where nothing is said of any source: a check without a lock file. */
function lockOf(entry: Record<string, unknown>, { lock, locks }: Surroundings): ModelLock | undefined {
  return lock || locks ? { ...(lock && { [String(entry.model)]: lock }), ...locks } : undefined;
}

/** The box that serves one entry under the name `m`. */
export function boxOf(
  entry: Record<string, unknown>,
  { host = gpuHost, secrets = {}, ownFiles, ...known }: Surroundings = {},
) {
  const all = { ...testSecrets, ...secrets };
  const lock = lockOf(entry, known);
  const plan = testPlan({ host, models: { m: entry } }, all, everyImage, lock, "test", ownFiles);
  const text = renderText(plan.gateway.directory.files["config.yaml"]!.text, all);
  return { plan, deployments: parse(text).model_list as Deployment[] };
}

export interface Deployment {
  model_name: string;
  litellm_params: Record<string, unknown>;
  model_info: Record<string, unknown>;
}

/** The container that serves an entry, its valve, and its deployment at the gateway. */
export function served(entry: Record<string, unknown>, around: Surroundings = {}) {
  const { plan, deployments } = boxOf(entry, around);
  const backend = plan.backends[0] as BackendPlan;
  return { ...backend, container: withoutLock(backend.service.container), deployment: deployments[0]! };
}

/** What the engine says of its container, before the device lock that is the same for all engines. */
function withoutLock(container: ContainerPlan): ContainerPlan {
  const { GPUBOX_LOCKS, GPUBOX_READY_SECONDS: _, GPUBOX_PROBE, GPUBOX_GPUS: __, ...env } = container.env;
  if (!GPUBOX_LOCKS) return container;
  const probe = [...GPUBOX_PROBE!.matchAll(/'((?:[^']|'\\'')*)'(?: |$)/g)].map(([, word]) =>
    word!.replaceAll("'\\''", "'"),
  );
  return {
    ...container,
    env,
    entrypoint: container.entrypoint.slice(LOCK_COMMAND.length),
    mounts: container.mounts.filter(({ target }) => target !== "/run/gpubox/locks"),
    health: { ...container.health, test: ["CMD", ...probe] },
  };
}

/** `path: what fix` of every mistake that is found in an entry, without the start that all have in common. */
export function refusals(
  entry: Record<string, unknown>,
  { host = gpuHost, secrets = {}, ownFiles, ...known }: Surroundings = {},
) {
  const raw = rawStack({ host, models: { m: entry } }, { ...testSecrets, ...secrets });
  try {
    parseStack({ ...raw, ownFiles, lock: lockOf(entry, known) });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(
      ({ path, what, fix }) => `${path.replace("gpubox:models.m.", "")}: ${what} ${fix}`,
    );
  }
}
