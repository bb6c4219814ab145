import { GIB } from "../kit/sizes";
import type { GpuConfig } from "../schema/gpu";
import {
  batchedTokens,
  contextTokens,
  type GpuDemand,
  MEMORY_DEFAULTS,
  type SglangMemory,
  splitOf,
  type TensorRtLlmMemory,
  type VllmMemory,
} from "./demand";
import { elementBytes, llamaKvCache, type PagedCache, pagedKvCache, tokenBytes } from "./kvCache";
import { type Line, line, sum } from "./lines";
import { overhead } from "./overhead";

/** The memory that a backend needs on one device, with an explanation. */
export interface MemoryNeed {
  /** Weights first, then KV cache, then overhead. */
  lines: Line[];
  /** Sum of the lines. */
  bytes: number;
  weightBytes: number;
  /** KV cache and states for what is asked, and for as many requests as the engine would take at once. */
  kvBytes: number;
  kvMostBytes: number;
  /** Of the KV cache, states that do not grow with the context. */
  stateBytes: number;
  /** Bytes of one token in a paged cache; 0 for engines that have none. */
  tokenBytes: number;
}

/** The memory that a backend needs on each of its devices: weights, KV cache for its context and parallelism, overhead. */
export function memoryNeed(demand: GpuDemand, device: GpuConfig): MemoryNeed {
  if (demand.engine.engine === "declared") return declaredNeed(demand.engine.memoryGiB);
  const weights = weightLines(demand, device);
  const weightBytes = sum(weights);
  const { needed, most, perToken } = kvCache(demand);
  const lines = [...weights, ...needed, ...overhead(demand, device, weightBytes)];
  return {
    lines,
    bytes: sum(lines),
    weightBytes,
    kvBytes: sum(needed),
    kvMostBytes: most,
    stateBytes: sum(needed) - sum(withoutStates(demand)),
    tokenBytes: perToken,
  };
}

function declaredNeed(memoryGiB: number): MemoryNeed {
  const lines = [line("what gpu.memoryGiB says: its size is unknown", memoryGiB * GIB)];
  const bytes = sum(lines);
  return { lines, bytes, weightBytes: bytes, kvBytes: 0, kvMostBytes: 0, stateBytes: 0, tokenBytes: 0 };
}

function weightLines(demand: GpuDemand, device: GpuConfig): Line[] {
  const { engine, locked, extraBytes = 0 } = demand;
  const extra = extraBytes > 0 ? [line("other files: projector, draft model, adapters", extraBytes)] : [];
  if (engine.engine === "llamacpp" || engine.engine === "ollama")
    return [...ggufWeights(demand, device), ...extra];
  const { tensor, pipeline } = splitOf(demand);
  const parts = tensor * pipeline;
  // vLLM, SGLang and TensorRT-LLM serve a 32-bit checkpoint with 16 bits.
  const halved = /^(float32|fp32|f32)$/i.test(locked.quantization) && engine.engine !== "encoder" ? 2 : 1;
  const how = `${halved === 2 ? ", served with 16 bits" : ""}${parts > 1 ? `, split over ${parts} devices` : ""}`;
  return [line(`weights (${locked.quantization})${how}`, locked.weightBytes / halved / parts), ...extra];
}

/** llama.cpp keeps the input embedding in the host's memory, and the layers that are not offloaded. */
function ggufWeights({ engine, locked, devices }: GpuDemand, device: GpuConfig): Line[] {
  const { weightBytes, layerBytes, inputBytes, shape, quantization } = locked;
  if (device.unified)
    return [line(`weights (${quantization}), with the host's part`, weightBytes / devices.length)];
  const layers = offloadedLayers(engine, shape.layers);
  const rest = layers > shape.layers || shape.layers === 0 ? weightBytes - layerBytes - inputBytes : 0;
  const how = devices.length > 1 ? `, split over ${devices.length} devices` : "";
  return [
    line(
      `weights (${quantization}) of ${Math.min(layers, shape.layers)} of ${shape.layers} layers${how}`,
      layerBytes * layersHere(layers, shape.layers, devices.length),
    ),
    ...(rest > 0 ? [line(`weights of the output (${quantization})`, rest)] : []),
  ];
}

/** Layers on devices: `all` is one more than there are, the output. */
function offloadedLayers(engine: GpuDemand["engine"], layers: number): number {
  const asked = engine.engine === "llamacpp" ? (engine.nGpuLayers ?? "all") : "all";
  return asked === "all" ? layers + 1 : Math.min(asked, layers + 1);
}

/** Part of all layers that the fullest of the devices holds. */
function layersHere(offloaded: number, layers: number, devices: number): number {
  if (layers === 0) return 1;
  return Math.ceil(Math.min(offloaded, layers) / devices) / layers;
}

interface KvNeed {
  needed: Line[];
  /** Bytes at the engine's own limit of requests. */
  most: number;
  perToken: number;
}

function kvCache(demand: GpuDemand): KvNeed {
  const { engine, locked, devices } = demand;
  const { shape } = locked;
  if (engine.engine === "encoder" || engine.engine === "declared")
    return { needed: [], most: 0, perToken: 0 };
  if (engine.engine === "llamacpp" || engine.engine === "ollama") {
    const part = layersHere(offloadedLayers(engine, shape.layers), shape.layers, devices.length);
    const needed = llamaKvCache(shape, engine.engine === "llamacpp" ? engine : asLlamaCpp(engine), part);
    return { needed, most: sum(needed), perToken: 0 };
  }
  const cache = pagedCache(demand);
  const most = Math.max(cache.sequences, mostSequences(engine));
  return {
    needed: pagedKvCache(shape, cache),
    most: sum(pagedKvCache(shape, { ...cache, sequences: most })),
    perToken: tokenBytes(shape, cache),
  };
}

/** Ollama starts a llama-server whose context is multiplied by its parallel requests. */
function asLlamaCpp(engine: Extract<GpuDemand["engine"], { engine: "ollama" }>) {
  const parallel = engine.numParallel ?? 1;
  return {
    ctxSize: engine.contextLength * parallel,
    parallel,
    cacheTypeK: engine.kvCacheType,
    cacheTypeV: engine.kvCacheType,
  };
}

type PagedEngine = VllmMemory | SglangMemory | TensorRtLlmMemory;

function pagedCache(demand: GpuDemand): PagedCache {
  const engine = demand.engine as PagedEngine;
  const common = {
    tokens: contextTokens(demand),
    sequences: engine.sequences ?? 1,
    elementBytes: elementBytes(engine.kvCacheDtype),
    ...splitOf(demand),
  };
  if (engine.engine !== "vllm") return common;
  return {
    ...common,
    blockSize: engine.blockSize ?? MEMORY_DEFAULTS.vllm.blockSize,
    windowBatch: batchedTokens({ ...demand, engine }),
  };
}

function mostSequences(engine: PagedEngine): number {
  if (engine.engine === "vllm") return engine.maxNumSeqs ?? MEMORY_DEFAULTS.vllm.maxNumSeqs;
  if (engine.engine === "sglang")
    return engine.maxRunningRequests ?? MEMORY_DEFAULTS.sglang.maxRunningRequests;
  return engine.maxBatchSize ?? MEMORY_DEFAULTS["tensorrt-llm"].maxBatchSize;
}

function withoutStates(demand: GpuDemand): Line[] {
  const { shape } = demand.locked;
  const attention = shape.attention.filter(({ kind }) => kind !== "recurrent");
  return kvCache({ ...demand, locked: { ...demand.locked, shape: { ...shape, attention } } }).needed;
}
