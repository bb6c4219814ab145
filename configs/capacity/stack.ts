import { engineOf, type ModelConfig, saidBy, sourcesOf } from "../engines";
import type { Problem } from "../kit/problems";
import type { LockedModel, ModelLock } from "../models/facts";
import { isLockable, lockedModel, lockedSource, whyUnresolved } from "../models/lock";
import type { StackConfig } from "../stack/config";
import { instancesOf, slotOf } from "../stack/instances";
import type { GpuDemand } from "./demand";
import { memoryOfEntry } from "./entries";
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
  for (const [name, entry] of Object.entries(config.models))
    for (const { id, path, model } of instancesOf(name, entry)) {
      const gpu: ModelGpu | undefined = "gpu" in model ? model.gpu : undefined;
      if (!gpu) continue;
      const at = `gpubox:models.${name}${path}`;
      const demand = demandOf(model, gpu, lock);
      const { devices } = gpu;
      const group = slotOf(name, model);
      if (demand)
        demands.push({ model: name, backend: id, path: at, start: model.start, group, devices, ...demand });
      else problems.push(unknownSize(at, model, lock));
    }
  const plan = planGpus(config.host.gpus, demands);
  return { ...plan, problems: [...problems, ...plan.problems] };
}

function demandOf(
  entry: ModelConfig,
  gpu: ModelGpu,
  lock: ModelLock,
):
  | Pick<GpuDemand, "locked" | "engine" | "memoryGiB" | "extraBytes" | "unknown" | "longestContext">
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
  return {
    ...{ locked, memoryGiB, ...(unknown.length > 0 ? { unknown } : {}) },
    longestContext: engineOf(model).longestContext?.(model, locked),
    engine: memoryOfEntry(model) ?? { engine: "encoder", name: model.engine },
    extraBytes: beside.reduce((sum, one) => sum + (lockedSource(lock, one)?.weightBytes ?? 0), 0),
  };
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
