import { GIB } from "../kit/sizes";
import type { GpuConfig } from "../schema/gpu";
import type { GpuDemand } from "./demand";
import { totalBytes } from "./device";
import type { MemoryNeed } from "./memory";
import { PROCESS_BYTES } from "./overhead";

/** A share that the config fixes, and the setting that does it. */
export interface Pin {
  setting: string;
  bytes: number;
  /** It is a part of what is free when the engine loads, so it shrinks with its neighbours. */
  ofFree: boolean;
}

/**
 * The share of a device that an entry's own settings fix.
 *
 * @param free bytes that are free when it loads: the device without the backends before it
 * @returns undefined where the planner chooses
 */
export function pinnedShare(
  demand: GpuDemand,
  need: MemoryNeed,
  device: GpuConfig,
  free: number,
): Pin | undefined {
  const { engine, memoryGiB } = demand;
  const fixed = need.bytes - need.kvBytes;
  const pin = (setting: string, bytes: number, ofFree = false): Pin => ({
    setting,
    bytes: Math.floor(bytes),
    ofFree,
  });
  const tokens = (count: number) => fixed + need.stateBytes + count * need.tokenBytes;
  if (memoryGiB !== undefined) return pin("gpu.memoryGiB", memoryGiB * GIB);
  if (engine.engine === "vllm") {
    if (engine.kvCacheMemoryBytes !== undefined)
      return pin("kvCacheMemoryBytes", fixed + engine.kvCacheMemoryBytes);
    // vLLM's budget begins after the process has its CUDA context.
    if (engine.gpuMemoryUtilization !== undefined)
      return pin("gpuMemoryUtilization", engine.gpuMemoryUtilization * totalBytes(device) + PROCESS_BYTES);
  }
  if (engine.engine === "sglang") {
    if (engine.maxTotalTokens !== undefined) return pin("maxTotalTokens", tokens(engine.maxTotalTokens));
    // The fraction covers weights and KV cache, of what is free once the process has its context.
    if (engine.memFractionStatic !== undefined)
      return pin(
        "memFractionStatic",
        engine.memFractionStatic * (free - PROCESS_BYTES) + fixed - need.weightBytes,
        true,
      );
  }
  if (engine.engine === "tensorrt-llm") {
    if (engine.maxTokens !== undefined) return pin("maxTokens", tokens(engine.maxTokens));
    if (engine.kvCacheFreeGpuMemoryFraction !== undefined)
      return pin(
        "kvCacheFreeGpuMemoryFraction",
        fixed + engine.kvCacheFreeGpuMemoryFraction * Math.max(0, free - fixed),
        true,
      );
  }
  return undefined;
}

/** Whether an engine turns more memory into more cache, and may do so here. */
export function canGrow(demand: GpuDemand, device: GpuConfig): boolean {
  const paged = ["vllm", "sglang", "tensorrt-llm"].includes(demand.engine.engine);
  // On unified memory what is left over is the host's page cache, which loads every model.
  return paged && !device.unified && demand.group === undefined && demand.locked.shape.task === "chat";
}
