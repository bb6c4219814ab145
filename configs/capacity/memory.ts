import { GIB, hundredthsOfGiB } from "../kit/sizes";
import { attentionShare, expertBytes, isOffloading } from "../models/experts";
import type { GpuConfig } from "../schema/gpu";
import {
  asLlamaCpp,
  batchedTokens,
  contextTokens,
  type GpuDemand,
  MEMORY_DEFAULTS,
  type SglangMemory,
  type TensorRtLlmMemory,
  type VllmMemory,
} from "./demand";
import { deviceOfLayer, type ExpertSplit, splitExperts } from "./experts";
import { elementBytes, llamaKvCache, type PagedCache, pagedKvCache, tokenBytes } from "./kvCache";
import { type Line, line, sum } from "./lines";
import { asleepBytes, overhead, PROCESS } from "./overhead";
import { splitOf } from "./split";

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
  /** What the entry's own settings keep in the host's memory, of all its devices together. */
  hostBytes: number;
  /** What it keeps of the device while it sleeps; 0 where it does not. */
  asleepBytes: number;
}

/** The memory that a backend needs on each of its devices: weights, KV cache for its context and parallelism, overhead. */
export function memoryNeed(demand: GpuDemand, device: GpuConfig): MemoryNeed {
  if (demand.engine.engine === "declared") return declaredNeed(demand, demand.engine.memoryGiB);
  const weights = weightLines(demand, device);
  const weightBytes = sum(weights);
  const { needed, most, perToken, hostBytes } = kvCache(demand, device);
  const draft = draftNeed(demand, device);
  const lines = [...weights, ...needed, ...(draft?.lines ?? []), ...overhead(demand, device, weightBytes)];
  return {
    lines,
    bytes: sum(lines),
    weightBytes,
    kvBytes: sum(needed),
    kvMostBytes: most,
    stateBytes: sum(needed) - sum(withoutStates(demand, device)),
    tokenBytes: perToken,
    hostBytes:
      hostBytes +
      (expertSplit(demand)?.hostBytes ?? 0) +
      (draft?.hostBytes ?? 0) +
      sleepingBytes(demand, weightBytes),
    asleepBytes: asleepBytes(demand),
  };
}

/**
 * What the host's memory keeps of the weights of all devices at vLLM's first level of sleep. Source: it copies each of its blocks to
 * pinned memory (device_allocator/cumem.py), which PyTorch rounds up to a power of two and does not give back.
 */
function sleepingBytes({ sleep, devices }: GpuDemand, weightBytes: number): number {
  return sleep === 1 ? 2 * weightBytes * devices.length : 0;
}

/**
 * What llama.cpp's draft model takes: its weights, and a cache as long as the model's with as many slots
 * (`common_base_params_to_speculative` of common/speculative.cpp), beside a compute buffer of its own.
 */
function draftNeed({ draft, ...demand }: GpuDemand, device: GpuConfig): MemoryNeed | undefined {
  const { engine } = demand;
  if (!draft || engine.engine !== "llamacpp") return undefined;
  const { locked, ...own } = draft;
  const { ctxSize, parallel, kvUnified, swaFull, ubatchSize, kvOffload, tensorSplit } = engine;
  const shared = { ctxSize, parallel, kvUnified, swaFull, ubatchSize, kvOffload, tensorSplit };
  const need = memoryNeed(
    { ...demand, locked, extraBytes: 0, engine: { engine: "llamacpp", ...shared, ...own, cacheRam: 0 } },
    device,
  );
  // The process, the first line of its overhead, is the model's.
  const lines = need.lines.filter(({ label }) => label !== PROCESS);
  return { ...need, lines: lines.map((one) => ({ ...one, label: `draft model: ${one.label}` })) };
}

function declaredNeed(demand: GpuDemand, memoryGiB: number): MemoryNeed {
  const lines = [line("what gpu.memoryGiB says: its size is unknown", memoryGiB * GIB)];
  const bytes = sum(lines);
  return {
    lines,
    bytes,
    weightBytes: bytes,
    kvBytes: 0,
    kvMostBytes: 0,
    stateBytes: 0,
    tokenBytes: 0,
    hostBytes: sleepingBytes(demand, bytes),
    asleepBytes: Math.min(asleepBytes(demand), bytes),
  };
}

function weightLines(demand: GpuDemand, device: GpuConfig): Line[] {
  const { engine, locked, extraBytes = 0 } = demand;
  const extra = extraBytes > 0 ? [line("other files: projector, draft model, adapters", extraBytes)] : [];
  if (engine.engine === "llamacpp" || engine.engine === "ollama")
    return [...ggufWeights(demand, device), ...extra];
  const { tensor, pipeline, data, groups } = splitOf(demand);
  const parts = tensor * pipeline;
  // vLLM, SGLang and TensorRT-LLM serve a 32-bit checkpoint with 16 bits.
  const halved = /^(float32|fp32|f32)$/i.test(locked.quantization) && engine.engine !== "encoder" ? 2 : 1;
  const how = [
    halved === 2 ? ", served with 16 bits" : "",
    parts > 1 ? `, split over ${parts} devices` : "",
    groups > 1 ? `, attention in ${groups} groups` : "",
  ].join("");
  // vLLM's copies of a mixture of experts share the experts (FusedMoEParallelConfig.make); SGLang's are whole.
  const shared = engine.engine === "vllm" && data > 1 ? expertBytes(locked) : 0;
  const repeated = groups > 1 ? (attentionShare(locked) * (groups - 1)) / parts : 0;
  const whole = (locked.weightBytes - shared) / parts + shared / parts / data + repeated;
  const away = offloadedBytes(demand, device, whole / halved);
  const kept = away > 0 ? `, without ${hundredthsOfGiB(away, "up")} GiB in the host's memory` : "";
  return [line(`weights (${locked.quantization})${how}${kept}`, whole / halved - away), ...extra];
}

/** Of the weights on a device what `--cpu-offload-gb` keeps in the host's memory: nothing where both are one memory. */
function offloadedBytes({ engine }: GpuDemand, device: GpuConfig, weightBytes: number): number {
  const asked = "cpuOffloadGb" in engine && !device.unified ? (engine.cpuOffloadGb ?? 0) : 0;
  return Math.min(asked * GIB, weightBytes);
}

/** What an engine with a paged cache keeps in the host's memory for all its devices. */
function pagedHostBytes({ engine, devices }: GpuDemand): number {
  const weights = "cpuOffloadGb" in engine ? (engine.cpuOffloadGb ?? 0) * devices.length : 0;
  const cache = "kvOffloadingSize" in engine ? (engine.kvOffloadingSize ?? 0) : 0;
  return (weights + cache) * GIB;
}

/** llama.cpp keeps the input embedding in the host's memory, and the layers that are not offloaded. */
function ggufWeights(demand: GpuDemand, device: GpuConfig): Line[] {
  const { engine, locked, devices } = demand;
  const { weightBytes, layerBytes, inputBytes, shape, quantization } = locked;
  if (device.unified)
    return [line(`weights (${quantization}), with the host's part`, weightBytes / devices.length)];
  const layers = offloadedLayers(engine, shape.layers);
  const isLast =
    deviceOfLayer(layers - 1, layers, devices.length, splitBy(engine)) === devices.indexOf(device.id);
  const here = isLast || !splitBy(engine);
  const rest =
    (layers > shape.layers || shape.layers === 0) && here ? weightBytes - layerBytes - inputBytes : 0;
  const parts = splitBy(engine) ? ` by ${splitBy(engine)!.join(":")}` : "";
  const how = devices.length > 1 ? `, split over ${devices.length} devices${parts}` : "";
  const experts = expertSplit(demand);
  const apart = experts ? ` without experts` : "";
  return [
    line(
      `weights (${quantization}) of ${Math.min(layers, shape.layers)} of ${shape.layers} layers${apart}${how}`,
      (layerBytes - (experts?.allBytes ?? 0)) * layersHere(demand, device),
    ),
    ...(experts ? expertLines(experts, demand, device) : []),
    ...(rest > 0 ? [line(`weights of the output (${quantization})`, rest)] : []),
  ];
}

/** The experts of an entry that keeps some of them in the host's memory; undefined for any other. */
function expertSplit({ engine, locked, devices }: GpuDemand): ExpertSplit | undefined {
  if (engine.engine !== "llamacpp" || !isOffloading(engine)) return undefined;
  const split = splitExperts(
    ...([locked, engine, offloadedLayers(engine, locked.shape.layers), devices.length] as const),
    engine.tensorSplit,
  );
  return split.hostBytes > 0 ? split : undefined;
}

function expertLines(experts: ExpertSplit, { locked, devices }: GpuDemand, device: GpuConfig): Line[] {
  const { deviceBytes, hostBytes, copyBytes, layers } = experts;
  const known = locked.experts ? "" : ", by its shape";
  const away = `${hundredthsOfGiB(hostBytes, "up")} GiB of ${layers} layers stay in the host's memory`;
  return [
    line(`experts${known}: ${away}`, deviceBytes[devices.indexOf(device.id)] ?? Math.max(...deviceBytes)),
    line("a copy of one tensor of experts, for long prompts", copyBytes),
  ];
}

/** Layers on devices: `all` is one more than there are, the output. */
function offloadedLayers(engine: GpuDemand["engine"], layers: number): number {
  const asked = engine.engine === "llamacpp" ? (engine.nGpuLayers ?? "all") : "all";
  return asked === "all" ? layers + 1 : Math.min(asked, layers + 1);
}

/** Parts of the devices that an entry gives itself. */
function splitBy(engine: GpuDemand["engine"]): number[] | undefined {
  return engine.engine === "llamacpp" ? engine.tensorSplit : undefined;
}

/** Part of all layers that is on any of the devices. */
function wholePart({ engine, locked }: GpuDemand): number {
  const { layers } = locked.shape;
  return layers === 0 ? 1 : Math.min(offloadedLayers(engine, layers), layers) / layers;
}

/** Part of all layers that a device holds: of equal parts that of the fullest. */
function layersHere({ engine, locked, devices }: GpuDemand, device: GpuConfig): number {
  const { layers } = locked.shape;
  const offloaded = offloadedLayers(engine, layers);
  const count = Math.min(offloaded, layers);
  if (layers === 0) return 1;
  const parts = splitBy(engine);
  if (!parts) return Math.ceil(count / devices.length) / layers;
  const here = Array.from({ length: count }, (_, place) =>
    deviceOfLayer(place, offloaded, devices.length, parts),
  ).filter((one) => one === devices.indexOf(device.id));
  return here.length / layers;
}

interface KvNeed {
  needed: Line[];
  /** Bytes at the engine's own limit of requests. */
  most: number;
  perToken: number;
  /** In the host's memory instead. */
  hostBytes: number;
}

function kvCache(demand: GpuDemand, device: GpuConfig): KvNeed {
  const { engine, locked } = demand;
  const { shape } = locked;
  if (engine.engine === "encoder" || engine.engine === "declared")
    return { needed: [], most: 0, perToken: 0, hostBytes: 0 };
  if (engine.engine === "llamacpp" || engine.engine === "ollama") {
    const part = layersHere(demand, device);
    const needed = llamaKvCache(shape, engine.engine === "llamacpp" ? engine : asLlamaCpp(engine), part);
    if (engine.engine === "llamacpp" && engine.kvOffload === false)
      return {
        needed: [],
        most: 0,
        perToken: 0,
        hostBytes: sum(llamaKvCache(shape, engine, wholePart(demand))),
      };
    return { needed, most: sum(needed), perToken: 0, hostBytes: 0 };
  }
  const cache = pagedCache(demand);
  const most = Math.max(cache.sequences, mostSequences(engine));
  return {
    needed: pagedKvCache(shape, cache),
    most: sum(pagedKvCache(shape, { ...cache, sequences: most })),
    perToken: tokenBytes(shape, cache),
    hostBytes: pagedHostBytes(demand),
  };
}

type PagedEngine = VllmMemory | SglangMemory | TensorRtLlmMemory;

function pagedCache(demand: GpuDemand): PagedCache {
  const engine = demand.engine as PagedEngine;
  const { attention, pipeline } = splitOf(demand);
  const common = {
    tokens: contextTokens(demand),
    sequences: engine.sequences ?? 1,
    elementBytes: elementBytes(engine.kvCacheDtype, engine.dtype),
    tensor: attention,
    pipeline,
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

function withoutStates(demand: GpuDemand, device: GpuConfig): Line[] {
  const { shape } = demand.locked;
  const attention = shape.attention.filter(({ kind }) => kind !== "recurrent");
  return kvCache({ ...demand, locked: { ...demand.locked, shape: { ...shape, attention } } }, device).needed;
}
