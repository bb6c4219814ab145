import type { MemorySettings } from "../engines/engine";
import { MIB } from "../kit/sizes";
import { batchedTokens, contextTokens, type GpuDemand, MEMORY_DEFAULTS } from "./demand";
import type { MemoryNeed } from "./memory";
import { PROCESS_BYTES } from "./overhead";

/** A backend's memory on the device of which it has the smallest part. */
export interface DeviceBudget {
  totalBytes: number;
  reservedBytes: number;
  shareBytes: number;
  /** Bytes of all its neighbours together, in whichever order they start. */
  othersBytes: number;
}

/**
 * The memory settings of a backend. An engine that sizes itself from the free memory gets settings for the smallest amount it
 * can find: after a crash it restarts beside all its neighbours. A limit in tokens keeps it from taking more at its first
 * start, before they have loaded.
 */
export function memorySettings(demand: GpuDemand, need: MemoryNeed, budget: DeviceBudget): MemorySettings {
  const { engine } = demand;
  // A person may give it less than the sum of its needs. Then all of them are taken to be less in the same part.
  const short = budget.shareBytes < need.bytes;
  const part = short ? budget.shareBytes / need.bytes : 1;
  const fixed = (need.bytes - need.kvBytes) * part;
  const kvBytes = Math.floor(budget.shareBytes - fixed);
  const settings: MemorySettings = {
    ...{ args: {}, env: {}, config: {} },
    ...(need.hostBytes > 0 ? { hostMiB: Math.ceil(need.hostBytes / MIB) } : {}),
  };
  switch (engine.engine) {
    case "llamacpp":
      settings.args = {
        "--ctx-size": String(engine.ctxSize),
        "--n-gpu-layers": String(engine.nGpuLayers ?? "all"),
        // Left on, it would lower unset values to what is free at that moment.
        "--fit": "off",
        ...(demand.devices.length > 1 ? { "--tensor-split": demand.devices.map(() => "1").join(",") } : {}),
      };
      return settings;
    case "ollama":
      settings.env = {
        OLLAMA_CONTEXT_LENGTH: String(engine.contextLength),
        OLLAMA_NUM_PARALLEL: String(engine.numParallel ?? 1),
        OLLAMA_MAX_LOADED_MODELS: "1",
        OLLAMA_GPU_OVERHEAD: String(budget.reservedBytes),
      };
      return settings;
    case "vllm":
      // With bytes given vLLM profiles nothing; the share of the total is what it wants to find free when it starts.
      settings.args = {
        "--gpu-memory-utilization": fraction((budget.shareBytes - PROCESS_BYTES) / budget.totalBytes, "down"),
        // It finds out by itself what its share leaves to the cache, where the sum is doubted.
        ...(short ? {} : { "--kv-cache-memory-bytes": String(kvBytes) }),
        // Its own defaults grow with the device, and what they take was not planned.
        "--max-num-seqs": String(engine.maxNumSeqs ?? MEMORY_DEFAULTS.vllm.maxNumSeqs),
        "--max-num-batched-tokens": String(batchedTokens({ ...demand, engine })),
      };
      return settings;
    case "sglang": {
      const free = budget.totalBytes - budget.othersBytes - PROCESS_BYTES;
      settings.args = {
        "--mem-fraction-static": fraction((need.weightBytes * part + kvBytes) / free, "up"),
        ...(short ? {} : { "--max-total-tokens": String(tokens(demand, need, kvBytes)) }),
        "--chunked-prefill-size": String(
          engine.chunkedPrefillSize ?? MEMORY_DEFAULTS.sglang.chunkedPrefillSize,
        ),
      };
      return settings;
    }
    case "tensorrt-llm": {
      const free = budget.totalBytes - budget.othersBytes - fixed;
      settings.args = {
        "--kv_cache_free_gpu_memory_fraction": fraction(kvBytes / free, "up"),
        "--max_batch_size": String(engine.maxBatchSize ?? MEMORY_DEFAULTS["tensorrt-llm"].maxBatchSize),
        "--max_num_tokens": String(engine.maxNumTokens ?? MEMORY_DEFAULTS["tensorrt-llm"].maxNumTokens),
      };
      if (!short) settings.config = { kv_cache_config: { max_tokens: tokens(demand, need, kvBytes) } };
      return settings;
    }
    case "encoder":
    case "declared":
      return settings;
  }
}

/** Tokens that a cache of so many bytes holds: at least one context, which the need is made of. */
function tokens(demand: GpuDemand, need: MemoryNeed, kvBytes: number): number {
  const least = contextTokens(demand);
  return need.tokenBytes > 0
    ? Math.max(least, Math.floor((kvBytes - need.stateBytes) / need.tokenBytes))
    : least;
}

/** Four digits, at most 1. */
function fraction(value: number, round: "up" | "down"): string {
  const digits = round === "up" ? Math.ceil(value * 1e4) : Math.floor(value * 1e4);
  return String(Math.min(1, digits / 1e4));
}
