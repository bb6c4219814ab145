import { engineOf, type ModelConfig, saidBy, sourcesOf } from "../engines";
import { hostsOf } from "../engines/nodes";
import type { Problem } from "../kit/problems";
import { GIB } from "../kit/sizes";
import type { LockedModel, ModelLock } from "../models/facts";
import { isLockable, lockedModel, lockedSource, whyUnresolved } from "../models/lock";
import { entriesOfHost, type StackConfig } from "../stack/config";
import { groupOf, instancesOf, slotOf } from "../stack/instances";
import type { GpuDemand } from "./demand";
import { memoryOfEntry } from "./entries";
import { demandGroup, groupProblems } from "./groups";
import { type GpuPlan, planGpus } from "./placement";

type ModelGpu = NonNullable<Extract<ModelConfig, { gpu?: unknown }>["gpu"]>;

/** Stands for a model whose files are unknown. */
const UNKNOWN: LockedModel = {
  revision: "",
  format: "safetensors",
  files: [],
  weightBytes: 0,
  layerBytes: 0,
  inputBytes: 0,
  quantization: "",
  shape: {
    architecture: "",
    contextLength: 0,
    layers: 0,
    hiddenSize: 0,
    attentionHeads: 0,
    vocabularySize: 0,
    parameters: 0,
    attention: [],
    experts: 0,
    vision: false,
    audio: false,
    task: "chat",
  },
  resolvedAt: "",
};

/** Plans how a stack's backends share the host's GPUs, from the config and the lock alone. */
export function planStackGpus(config: StackConfig, lock: ModelLock): GpuPlan {
  const demands: GpuDemand[] = [];
  const problems: Problem[] = [];
  for (const [name, entry] of Object.entries(entriesOfHost(config)))
    for (const { id, path, model } of instancesOf(name, entry)) {
      const gpu: ModelGpu | undefined = "gpu" in model ? model.gpu : undefined;
      if (!gpu) continue;
      const at = `gpubox:${Object.hasOwn(config.workers, name) ? "joins" : "models"}.${name}${path}`;
      const demand = demandOf(model, gpu, lock);
      const { devices } = gpu;
      const shared =
        groupOf(name, model) === undefined ? { group: slotOf(name, model) } : groupShare(config, name, model);
      if (demand)
        demands.push({
          ...{ model: name, backend: id, path: at, start: model.start, devices },
          ...shared,
          ...demand,
        });
      else problems.push(unknownSize(at, model, lock));
    }
  const plan = planGpus(config.host.gpus, demands);
  const inGroups = plan.problems.length === 0 ? groupProblems(config, plan) : [];
  return { ...plan, problems: [...problems, ...plan.problems, ...inGroups] };
}

/** What the planner knows of a model's group. A budget that no device has is refused by itself, and not by its models. */
function groupShare(
  config: StackConfig,
  name: string,
  model: ModelConfig,
): Pick<GpuDemand, "group" | "groupBytes" | "sharesGroup" | "pinned" | "sleep"> {
  const group = groupOf(name, model)!;
  const { memoryGiB } = config.groups[group] ?? {};
  return {
    group: demandGroup(group),
    sharesGroup: true,
    ...(memoryGiB === undefined ? {} : { groupBytes: Math.floor(memoryGiB * GIB) }),
    ...("pinned" in model && model.pinned ? { pinned: true } : {}),
    ...("sleep" in model && model.sleep ? { sleep: model.sleep } : {}),
  };
}

function demandOf(
  entry: ModelConfig,
  gpu: ModelGpu,
  lock: ModelLock,
):
  | Pick<
      GpuDemand,
      "hosts" | "locked" | "engine" | "memoryGiB" | "extraBytes" | "draft" | "unknown" | "longestContext"
    >
  | undefined {
  const model = saidBy(entry);
  const source = model.model ?? "";
  const { memoryGiB } = gpu;
  const locked = lockedModel(lock, source);
  if (!locked && memoryGiB)
    return { locked: UNKNOWN, engine: { engine: "declared", memoryGiB }, unknown: [source] };
  if (!locked) return undefined;
  // A tokenizer may lie in the repository of a whole model, of which nothing else is read.
  const beside = sourcesOf(model).flatMap((one) =>
    one.source === source || one.holds === "tokenizer" ? [] : [one.source],
  );
  const unknown = beside.filter((one) => !lockedSource(lock, one));
  const draft = draftOf(model, lock);
  return {
    ...("nodes" in model && model.nodes ? { hosts: hostsOf(model) } : {}),
    ...{ locked, memoryGiB, ...(unknown.length > 0 ? { unknown } : {}) },
    longestContext: engineOf(model).longestContext?.(model, locked),
    engine: memoryOfEntry(model) ?? { engine: "encoder", name: model.engine },
    ...(draft && { draft }),
    extraBytes: beside
      .filter((one) => !draft || lockedSource(lock, one) !== draft.locked)
      .reduce((sum, one) => sum + (lockedSource(lock, one)?.weightBytes ?? 0), 0),
  };
}

/** The model that drafts, of an engine that gives it a context of its own. */
function draftOf(model: ModelConfig, lock: ModelLock): GpuDemand["draft"] {
  if (model.engine !== "llamacpp" || !model.modelDraft) return undefined;
  const locked = lockedModel(lock, model.modelDraft);
  const { nGpuLayersDraft: nGpuLayers, cacheTypeKDraft: cacheTypeK, cacheTypeVDraft: cacheTypeV } = model;
  return locked && { locked, nGpuLayers, cacheTypeK, cacheTypeV };
}

function unknownSize(path: string, { model = "its model" }: ModelConfig, lock: ModelLock): Problem {
  const reason = whyUnresolved(lock, model);
  const lockIt = isLockable(model) ? ", or run `gpubox models lock` where the hub answers" : "";
  return {
    path: `${path}.gpu.memoryGiB`,
    what: `The size of ${model} is unknown${reason ? `: ${reason}` : "."}`,
    fix: `Say how many GiB it needs on each device${lockIt}.`,
  };
}
