import { GIB, MIB } from "../kit/sizes";
import type { GpuConfig } from "../schema/gpu";
import {
  asLlamaCpp,
  batchedTokens,
  contextTokens,
  type GpuDemand,
  type LlamaCppMemory,
  MEMORY_DEFAULTS,
} from "./demand";
import { llamaAttention } from "./kvCache";
import { type Line, line } from "./lines";
import { splitOf } from "./split";

/**
 * CUDA context (and NCCL) of a process on a device. Source: eleven loads of llama-server on an H200 (driver 580, CUDA 13) took 588
 * to 590 MiB beside the buffers of its log, whatever the model. The context grows with the device's multiprocessors.
 */
export const PROCESS_BYTES = 600 * MIB;

export const PROCESS = "process: CUDA context and NCCL";

/**
 * 16-bit elements of a token's activations at the peak of a layer, in widths of the residual stream: gate and up projection
 * and their product (3 × 3.5 widths for today's feed-forwards) beside the residual, its norm and the attention's input.
 */
const ACTIVATION_WIDTHS = 16;

/**
 * What vLLM holds of a device for each byte of activations and logits that is alive at once: PyTorch keeps what it allocated for
 * batches of other shapes. Source: vLLM 0.26.0 on an H200 held 1.6 to 1.9 of it after 32 requests of 7,000 tokens.
 */
const PYTORCH_RESERVE = 2;

/** CUDA graphs of one layer in vLLM. Source: an H200 took 0.45 GiB for 28 layers and 0.61 GiB for 36. */
const GRAPH_BYTES_PER_LAYER = 18 * MIB;

/** In widths of the residual stream what is alive during llama.cpp's attention: residual, norm, query, key and value, output. */
const ATTENTION_WIDTHS = 5;

/**
 * What vLLM keeps of a device in its sleep beside its process and its graphs. Source: vLLM 0.26.0 on an H200 kept 1,690 MiB of a model
 * with 36 layers, 442 of them neither.
 */
const ASLEEP_BYTES = 512 * MIB;

/** The same for a model of which nobody knows the layers: those of one with 60. */
const ASLEEP_UNKNOWN_BYTES = PROCESS_BYTES + 60 * GRAPH_BYTES_PER_LAYER + ASLEEP_BYTES;

/** Bytes of a device that a sleeping engine keeps; 0 for one that has no sleep. */
export function asleepBytes(demand: GpuDemand): number {
  const { engine, sleep } = demand;
  if (sleep === undefined) return 0;
  if (engine.engine !== "vllm") return ASLEEP_UNKNOWN_BYTES;
  return PROCESS_BYTES + ASLEEP_BYTES + (engine.enforceEager ? 0 : layerGraphs(demand).bytes);
}

/** What an engine takes on a device beside weights and KV cache. The first line is always the process itself. */
export function overhead(demand: GpuDemand, device: GpuConfig, weightBytes: number): Line[] {
  const { engine } = demand;
  const process = line(PROCESS, PROCESS_BYTES);
  switch (engine.engine) {
    case "llamacpp":
      return [
        process,
        matrixWorkspace(demand),
        computeBuffer(demand, engine),
        ...hostCache(device, engine.cacheRam ?? MEMORY_DEFAULTS.llamacpp.cacheRam),
      ];
    case "ollama":
      return [process, matrixWorkspace(demand), computeBuffer(demand, asLlamaCpp(engine))];
    case "vllm":
      return [
        process,
        ...activations(
          demand,
          batchedTokens({ ...demand, engine }),
          engine.maxNumSeqs ?? MEMORY_DEFAULTS.vllm.maxNumSeqs,
          PYTORCH_RESERVE,
        ),
        ...(engine.enforceEager ? [] : [layerGraphs(demand)]),
        // vLLM keeps processed images in the host's memory, 4 GiB by default (--mm-processor-cache-gb).
        ...(demand.locked.shape.vision ? hostCache(device, 4096) : []),
        ...hostCache(device, ((engine.kvOffloadingSize ?? 0) * 1024) / demand.devices.length),
      ];
    case "sglang":
      return [
        process,
        // SGLang's own reserve (srt, memory_hook.py): 1.5 MiB a token of a prefill chunk and tp × pp / 8 GiB.
        line(
          "activations: SGLang's reserve of 1.5 MiB a token of a prefill chunk",
          1.5 * MIB * Math.max(engine.chunkedPrefillSize ?? MEMORY_DEFAULTS.sglang.chunkedPrefillSize, 2048),
        ),
        line("communication buffers", (splitOf(demand).tensor * splitOf(demand).pipeline * GIB) / 8),
        ...(engine.disableCudaGraph ? [] : [cudaGraphs(weightBytes)]),
      ];
    case "tensorrt-llm":
      return [
        process,
        ...activations(
          demand,
          engine.maxNumTokens ?? MEMORY_DEFAULTS["tensorrt-llm"].maxNumTokens,
          engine.maxBatchSize ?? MEMORY_DEFAULTS["tensorrt-llm"].maxBatchSize,
        ),
        cudaGraphs(weightBytes),
      ];
    case "encoder":
      return [process, ...activations(demand, contextTokens(demand), 0)];
    case "declared":
      return [];
  }
}

/**
 * What a llama-server takes from its first request on. Source: llama.cpp b11549 on an H200 grew by 96 to 120 MiB with weights of 16
 * bits, for which it opens cuBLAS, and by 14 to 36 MiB with q8_0, which its own kernels multiply. A mixture of experts has routers
 * of 32 bits.
 */
function matrixWorkspace({ locked }: GpuDemand): Line {
  const opensCublas = /^(BF16|F16|F32)$/i.test(locked.quantization) || locked.shape.experts > 0;
  return line("workspace of matrix products", (opensCublas ? 110 : 40) * MIB);
}

/**
 * llama.cpp's compute buffer on one device: the attention masks in 16 bits, the logits of the tokens that are answered, and the
 * larger of what the feed-forward part and the attention keep at the same time. Flash attention is assumed, which `auto` turns on.
 * Source: the load logs of llama.cpp b11549 on an H200; dense models had 3 × feed-forward + 4 × hidden elements of a token.
 */
function computeBuffer({ locked: { shape } }: GpuDemand, engine: Omit<LlamaCppMemory, "engine">): Line {
  const { vocabularySize, hiddenSize, task, experts } = shape;
  const ubatch = engine.ubatchSize ?? MEMORY_DEFAULTS.llamacpp.ubatchSize;
  const { maskCells, copyBytes } = llamaAttention(shape, engine);
  // Servers that embed or rerank answer each token. No mixture of experts was measured: the logits of a batch are its margin.
  const answered =
    task === "chat" && experts === 0
      ? Math.min(ubatch, engine.parallel ?? MEMORY_DEFAULTS.llamacpp.parallel)
      : ubatch;
  const feedForward = ubatch * ACTIVATION_WIDTHS * hiddenSize * 4;
  const attention = ubatch * ATTENTION_WIDTHS * hiddenSize * 4 + (engine.kvOffload === false ? 0 : copyBytes);
  const peak =
    attention > feedForward
      ? `the cache of a layer in 16 bits beside ${ATTENTION_WIDTHS}`
      : String(ACTIVATION_WIDTHS);
  return line(
    `compute buffer: ${ubatch} tokens × ${peak} × ${hiddenSize} activations, mask of ${maskCells} cells, ${answered} × ${vocabularySize} logits`,
    Math.max(feedForward, attention) + ubatch * maskCells * 2 + answered * vocabularySize * 4,
  );
}

/** @param held bytes that the engine holds for each that is alive at once */
function activations(demand: GpuDemand, tokens: number, sequences: number, held = 1): Line[] {
  const { hiddenSize, vocabularySize } = demand.locked.shape;
  const { tensor } = splitOf(demand);
  const logits = sequences * vocabularySize * 4;
  const times = held === 1 ? "" : `${held} × `;
  return [
    line(
      `activations: ${times}${tokens} batched tokens × ${ACTIVATION_WIDTHS} × ${hiddenSize} × 2 bytes`,
      (held * tokens * ACTIVATION_WIDTHS * hiddenSize * 2) / tensor,
    ),
    // The sampler holds the logits and their sorted copy in 32 bits.
    ...(sequences > 0
      ? [line(`sampling: ${2 * held} × ${sequences} requests × ${vocabularySize} tokens`, 2 * held * logits)]
      : []),
  ];
}

/** Graphs of vLLM on one device: each layer is recorded for as many sizes of a batch, 51 with the planner's settings. */
function layerGraphs(demand: GpuDemand): Line {
  const layers = Math.ceil(demand.locked.shape.layers / splitOf(demand).pipeline);
  return line(
    `CUDA graphs of ${layers} layers, 0.3 GiB or more`,
    Math.max(0.3 * GIB, layers * GRAPH_BYTES_PER_LAYER),
  );
}

/** Reports of graphs name 0.3 to 3 GiB; within these bounds the plan assumes 5 % of the weights. */
function cudaGraphs(weightBytes: number): Line {
  const bytes = Math.min(3 * GIB, Math.max(0.3 * GIB, 0.05 * weightBytes));
  return line("CUDA graphs: 5 % of the weights, 0.3 to 3 GiB", bytes);
}

/** A cache in the host's memory takes from the device where both are the same memory. */
function hostCache(device: GpuConfig, mebibytes: number): Line[] {
  return device.unified && mebibytes > 0
    ? [line("cache in the host's memory, which is the device's", mebibytes * MIB)]
    : [];
}
