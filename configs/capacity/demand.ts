import type { ExpertOffload } from "../models/experts";
import type { LockedModel } from "../models/facts";
import type { DeviceId } from "../schema/gpu";

/**
 * What one backend asks of the host's GPUs, in plain words. Each engine maps its entry to this; the planner knows no schema.
 *
 * @example
 * // llamacpp: { model: hf://…gguf, ctxSize: 32768, parallel: 4, gpu: { devices: [0] } }
 * { model: "qwen3", path: "gpubox:models.qwen3", devices: [0], start: "auto", locked,
 *   engine: { engine: "llamacpp", ctxSize: 32768, parallel: 4 } }
 * @example
 * // vllm on two devices that it shares with nobody, all of their memory for it
 * { model: "coder", path: "gpubox:models.coder", devices: [0, 1], start: "auto", locked,
 *   engine: { engine: "vllm", maxModelLen: 131072, tensorParallelSize: 2 } }
 * @example
 * // sglang with a fixed part of the device
 * { model: "chat", path: "gpubox:models.chat", devices: [0], start: "auto", locked, memoryGiB: 40,
 *   engine: { engine: "sglang", contextLength: 65536 } }
 * @example
 * // ollama
 * { model: "small", path: "gpubox:models.small", devices: [0], start: "auto", locked,
 *   engine: { engine: "ollama", contextLength: 8192, numParallel: 2 } }
 * @example
 * // tensorrt-llm, started by hand; the planner finds out what has to stop for it
 * { model: "giant", path: "gpubox:models.giant", devices: [0, 1], start: "manual", locked,
 *   engine: { engine: "tensorrt-llm", maxSeqLen: 32768 } }
 * @example
 * // text-embeddings-inference, speaches, …: weights and a batch, no cache
 * { model: "embed", path: "gpubox:models.embed", devices: [0], start: "auto", locked,
 *   engine: { engine: "encoder", maxBatchTokens: 16384 } }
 */
export interface GpuDemand {
  /** Public name of the model. */
  model: string;
  /** The backend's own name where a model has several instances; default: the model's. */
  backend?: string;
  /** Path of the entry in the config, for problems. */
  path: string;
  /** Devices of the host that it runs on, each once. */
  devices: DeviceId[];
  /** Hosts that it spans, each with as many devices. Default: 1. */
  hosts?: number;
  /** `auto`: resident. `manual`: started by hand, may want others stopped. `ondemand`: loaded by a request. */
  start: "auto" | "manual" | "ondemand";
  /**
   * Backends with the same group share memory, of which their device keeps enough for the largest: beside those of them that are
   * `pinned`, and no less than `groupBytes`.
   */
  group?: string;
  /** Bytes that the config gives its group on each device. */
  groupBytes?: number;
  /** True in a group whose models may be loaded together, as far as they fit. In a slot one is at a time. */
  sharesGroup?: true;
  /** True: it stays loaded beside another one of its group. */
  pinned?: boolean;
  /** The level at which it sleeps in place of being unloaded: 1 keeps its weights in the host's memory, 2 keeps none. */
  sleep?: 1 | 2;
  /** `manual` only: backends that stop while it runs. Absent: the planner finds the fewest, last in the config first. */
  excludes?: string[];
  /** GiB on each device that it may use, no more and no less. Default: the planner's share. */
  memoryGiB?: number;
  locked: LockedModel;
  /** Tokens of the longest request that the entry's scaling of positions allows. Default: what the model was trained for. */
  longestContext?: number;
  /** Other files that are loaded to the device with the model (mmproj, draft model, LoRA), in bytes. */
  extraBytes?: number;
  /** llama.cpp only: the model that drafts, with the settings of its own. It has the context and the slots of the model. */
  draft?: DraftDemand;
  /** Sources whose size nobody knows: the model itself, for which the engine is then `declared`, or files beside it. */
  unknown?: string[];
  engine: EngineMemory;
}

/** A model that drafts tokens for another one. */
export interface DraftDemand {
  locked: LockedModel;
  /** `--spec-draft-ngl`. Default `all`. */
  nGpuLayers?: number | "all";
  /** `--spec-draft-type-k`, `--spec-draft-type-v`. Default f16. */
  cacheTypeK?: string;
  cacheTypeV?: string;
}

/** The engine settings that determine its memory. An absent setting has the default named here, which the engine file renders. */
export type EngineMemory =
  | LlamaCppMemory
  | OllamaMemory
  | VllmMemory
  | SglangMemory
  | TensorRtLlmMemory
  | EncoderMemory
  | DeclaredMemory;

export interface LlamaCppMemory extends ExpertOffload {
  engine: "llamacpp";
  /** `--ctx-size`: tokens of all parallel requests together. */
  ctxSize: number;
  /** `--parallel`: requests at a time, llama.cpp's slots. Default 1. */
  parallel?: number;
  /** `--kv-unified`: one pool for all parallel requests. Default false. */
  kvUnified?: boolean;
  /** `--cache-type-k`, `--cache-type-v`. Default f16. */
  cacheTypeK?: string;
  cacheTypeV?: string;
  /** `--ubatch-size`. Default 512. */
  ubatchSize?: number;
  /** `--gpu-layers`. Default `all`. */
  nGpuLayers?: number | "all";
  /** `--tensor-split`: parts of the devices. Default: equal ones. */
  tensorSplit?: number[];
  /** `--swa-full`: sliding layers keep the whole context. Default false. */
  swaFull?: boolean;
  /** `--kv-offload`: false keeps the KV cache in the host's memory. Default true. */
  kvOffload?: boolean;
  /** `--cache-ram` in MiB of the host. Default 8192, llama.cpp's own. Counts where host and device share memory. */
  cacheRam?: number;
}

export interface OllamaMemory {
  engine: "ollama";
  /** OLLAMA_CONTEXT_LENGTH: tokens of one request. */
  contextLength: number;
  /** OLLAMA_NUM_PARALLEL: multiplies the context. Default 1. */
  numParallel?: number;
  /** OLLAMA_KV_CACHE_TYPE. Default f16. */
  kvCacheType?: string;
}

/** What vLLM, SGLang and TensorRT-LLM have in common. */
interface PagedMemory {
  /** Full contexts that must fit at the same time. Default 1: no engine starts with less. What is left over adds more. */
  sequences?: number;
  /** Default `auto`: the type of the computation. */
  kvCacheDtype?: string;
  /** `--dtype`, the type of the computation. Default `auto`: 16 bits. */
  dtype?: string;
  /** Whole copies of the model, each with devices of its own. Default 1. */
  dataParallelSize?: number;
  /** GiB of each device's weights that the host's memory has instead. Default 0. */
  cpuOffloadGb?: number;
}

export interface VllmMemory extends PagedMemory {
  engine: "vllm";
  /** Default: devices ÷ pipelineParallelSize ÷ dataParallelSize. */
  tensorParallelSize?: number;
  /** Default 1. */
  pipelineParallelSize?: number;
  /** `--max-model-len`. Default: the model's. */
  maxModelLen?: number;
  /** `--max-num-seqs`. Default 256. */
  maxNumSeqs?: number;
  /** `--max-num-batched-tokens`. Default 8192. */
  maxNumBatchedTokens?: number;
  /** `--enforce-eager`: no CUDA graphs. Default false. */
  enforceEager?: boolean;
  /** `--block-size`. Default 16. */
  blockSize?: number;
  /** `--kv-offloading-size`: GiB of the host's memory for KV cache. Default 0. */
  kvOffloadingSize?: number;
  /** Set by the user: share of the device's TOTAL memory. */
  gpuMemoryUtilization?: number;
  /** Set by the user: bytes of KV cache on each device. */
  kvCacheMemoryBytes?: number;
}

export interface SglangMemory extends PagedMemory {
  engine: "sglang";
  /** Default: devices ÷ pipelineParallelSize ÷ dataParallelSize. */
  tensorParallelSize?: number;
  /** Default 1. */
  pipelineParallelSize?: number;
  /** `--attn-dp-size`: groups of tensor ranks, each with the whole attention. Default 1. */
  attnDpSize?: number;
  /** `--context-length`. Default: the model's. */
  contextLength?: number;
  /** `--max-running-requests`. Default 256. */
  maxRunningRequests?: number;
  /** `--chunked-prefill-size`. Default 4096. */
  chunkedPrefillSize?: number;
  /** `--disable-cuda-graph`. Default false. */
  disableCudaGraph?: boolean;
  /** Set by the user: share of the memory that is FREE before the load, for weights and KV cache. */
  memFractionStatic?: number;
  /** Set by the user: tokens of KV cache. */
  maxTotalTokens?: number;
}

export interface TensorRtLlmMemory extends PagedMemory {
  engine: "tensorrt-llm";
  /** Default: the devices. */
  tpSize?: number;
  /** `--max_seq_len`. Default: the model's. */
  maxSeqLen?: number;
  /** `--max_batch_size`. Default 256. */
  maxBatchSize?: number;
  /** `--max_num_tokens`. Default 8192. */
  maxNumTokens?: number;
  /** Set by the user: share of what is free AFTER weights and buffers. */
  kvCacheFreeGpuMemoryFraction?: number;
  /** Set by the user: tokens of KV cache. */
  maxTokens?: number;
}

/** Engines without a cache between requests: embeddings, reranking, speech. */
export interface EncoderMemory {
  engine: "encoder";
  /** The engine's name in messages. */
  name?: string;
  /** Tokens of a batch. Default 16384, text-embeddings-inference's own. */
  maxBatchTokens?: number;
}

/** Any engine with a model of unknown size: it takes what its entry says, and nothing can be worked out. */
export interface DeclaredMemory {
  engine: "declared";
  /** On each device. */
  memoryGiB: number;
}

/** Defaults of settings that memory depends on. Engine files render them, so that no engine chooses by itself. */
export const MEMORY_DEFAULTS = {
  llamacpp: { parallel: 1, ubatchSize: 512, cacheType: "f16", cacheRam: 8192 },
  vllm: { maxNumSeqs: 256, maxNumBatchedTokens: 8192, blockSize: 16 },
  sglang: { maxRunningRequests: 256, chunkedPrefillSize: 4096 },
  "tensorrt-llm": { maxBatchSize: 256, maxNumTokens: 8192 },
  encoder: { maxBatchTokens: 16384 },
} as const;

/** The backend's name in plans. */
export function backendOf(demand: GpuDemand): string {
  return demand.backend ?? demand.model;
}

/** Tokens of the longest request, as the setting or else the model has it. */
export function contextTokens({ engine, locked, longestContext }: GpuDemand): number {
  const trained = longestContext ?? locked.shape.contextLength;
  switch (engine.engine) {
    case "llamacpp":
      return engine.ctxSize;
    case "ollama":
      return engine.contextLength;
    case "vllm":
      return engine.maxModelLen ?? trained;
    case "sglang":
      return engine.contextLength ?? trained;
    case "tensorrt-llm":
      return engine.maxSeqLen ?? trained;
    case "encoder":
      return engine.maxBatchTokens ?? MEMORY_DEFAULTS.encoder.maxBatchTokens;
    case "declared":
      return 0;
  }
}

/** Name of the setting that `contextTokens` reads. */
export const CONTEXT_SETTING = {
  llamacpp: "ctxSize",
  ollama: "contextLength",
  vllm: "maxModelLen",
  sglang: "contextLength",
  "tensorrt-llm": "maxSeqLen",
  encoder: "maxBatchTokens",
  declared: "",
} as const;

/** Ollama starts a llama-server whose context is multiplied by its parallel requests. */
export function asLlamaCpp(engine: OllamaMemory) {
  const parallel = engine.numParallel ?? 1;
  return {
    ctxSize: engine.contextLength * parallel,
    parallel,
    cacheTypeK: engine.kvCacheType,
    cacheTypeV: engine.kvCacheType,
  };
}

/** Tokens that vLLM takes in one batch. A model that embeds or reranks reads a whole request at once. */
export function batchedTokens(demand: GpuDemand & { engine: VllmMemory }): number {
  const most = MEMORY_DEFAULTS.vllm.maxNumBatchedTokens;
  const whole = demand.locked.shape.task === "chat" ? 0 : contextTokens(demand);
  return demand.engine.maxNumBatchedTokens ?? Math.max(most, whole);
}

/** The same demand with another context. */
export function withContext(demand: GpuDemand, tokens: number): GpuDemand {
  return {
    ...demand,
    engine: { ...demand.engine, [CONTEXT_SETTING[demand.engine.engine]]: tokens } as EngineMemory,
  };
}

/** Name of the setting for requests at a time, its value, and the demand with another one. */
export function parallelOf(
  demand: GpuDemand,
): { setting: string; value: number; to: (value: number) => GpuDemand } | undefined {
  const { engine } = demand;
  if (engine.engine === "encoder" || engine.engine === "declared") return undefined;
  const [setting, value] =
    engine.engine === "llamacpp"
      ? (["parallel", engine.parallel ?? 1] as const)
      : engine.engine === "ollama"
        ? (["numParallel", engine.numParallel ?? 1] as const)
        : (["sequences", engine.sequences ?? 1] as const);
  return {
    setting,
    value,
    to: (to) => ({ ...demand, engine: { ...engine, [setting]: to } as EngineMemory }),
  };
}
