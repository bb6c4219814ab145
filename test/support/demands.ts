import type { EngineMemory, GpuDemand } from "../../configs/capacity/demand";
import type { AttentionGroup, LockedModel } from "../../configs/models/facts";
import { type GpuConfig, gpuSchema } from "../../configs/schema/gpu";

const GIB = 2 ** 30;

export function gpu(id: GpuConfig["id"], memoryGiB: number, more: Partial<GpuConfig> = {}): GpuConfig {
  return gpuSchema.parse({ id, memoryGiB, ...more });
}

/** A model of 32 layers with 8 key/value heads of 128, which is Llama 3.1 8B, unless said otherwise. */
export function model(
  weightGiB = 15,
  more: Partial<LockedModel["shape"]> = {},
  format: LockedModel["format"] = "safetensors",
): LockedModel {
  const weightBytes = Math.round(weightGiB * GIB);
  const full: AttentionGroup = { layers: 32, kind: "full", kvHeads: 8, keyLength: 128, valueLength: 128 };
  return {
    revision: "c".repeat(40),
    format,
    files: [{ path: "model", bytes: weightBytes }],
    weightBytes,
    layerBytes: Math.round(weightBytes * 0.9),
    inputBytes: Math.round(weightBytes * 0.05),
    quantization: format === "gguf" ? "Q8_0" : "bfloat16",
    shape: {
      architecture: "LlamaForCausalLM",
      contextLength: 131072,
      layers: 32,
      hiddenSize: 4096,
      attentionHeads: 32,
      vocabularySize: 128256,
      parameters: 8.03e9,
      attention: [full],
      experts: 0,
      vision: false,
      audio: false,
      task: "chat",
      ...more,
    },
    resolvedAt: "2026-01-01T00:00:00.000Z",
  };
}

export function demand(name: string, engine: EngineMemory, more: Partial<GpuDemand> = {}): GpuDemand {
  const isGguf = engine.engine === "llamacpp" || engine.engine === "ollama";
  const locked = model(isGguf ? 8 : 15, {}, isGguf ? "gguf" : "safetensors");
  return { model: name, path: `gpubox:models.${name}`, devices: [0], start: "auto", locked, engine, ...more };
}
