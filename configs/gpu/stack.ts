import type { ModelConfig } from "../engines";
import type { LockedModel, ModelLock } from "../models/facts";
import { lockedModel, whyUnresolved } from "../models/lock";
import { instancesOf, slotOf } from "../plan/instances";
import type { Problem } from "../problems";
import type { StackConfig } from "../schema/stack";
import type { GpuDemand } from "./demand";
import { memoryOfEntry } from "./entries";
import { type GpuPlan, planGpus } from "./placement";

type ModelGpu = NonNullable<Extract<ModelConfig, { gpu?: unknown }>["gpu"]>;

/** What a model whose files nobody has seen is planned with: its `gpu.memoryGiB` alone. */
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

/** How a stack's backends share the host's GPUs, from the config and the lock alone. */
export function planStackGpus(config: StackConfig, lock: ModelLock): GpuPlan {
  const demands: GpuDemand[] = [];
  const problems: Problem[] = [];
  for (const [name, entry] of Object.entries(config.models))
    for (const { id, path, model } of instancesOf(name, entry)) {
      const gpu: ModelGpu | undefined = "gpu" in model ? model.gpu : undefined;
      if (!gpu) continue;
      const at = `gpubox:models.${name}${path}`;
      const demand = demandOf(model, gpu, lock);
      const group = slotOf(name, model);
      if (demand)
        demands.push({ model: name, backend: id, path: at, start: model.start, group, ...gpu, ...demand });
      else problems.push(unknownSize(at, model, lock));
    }
  const plan = planGpus(config.host.gpus, demands);
  return { ...plan, problems: [...problems, ...plan.problems] };
}

function demandOf(
  model: ModelConfig,
  gpu: ModelGpu,
  lock: ModelLock,
): Pick<GpuDemand, "locked" | "engine"> | undefined {
  const locked = lockedModel(lock, model.model ?? "");
  if (locked) return { locked, engine: memoryOfEntry(model) ?? { engine: "encoder", name: model.engine } };
  return gpu.memoryGiB ? { locked: UNKNOWN, engine: { engine: "encoder", name: model.engine } } : undefined;
}

function unknownSize(path: string, model: ModelConfig, lock: ModelLock): Problem {
  const reason = whyUnresolved(lock, model.model ?? "");
  return {
    path: `${path}.gpu.memoryGiB`,
    what: `Nothing is known of the size of ${model.model ?? "its model"}${reason ? `: ${reason}` : "."}`,
    fix: "Say how many GiB it needs on each device, or run `npm run models lock` where the hub answers.",
  };
}
