import { GIB, MIB } from "../kit/sizes";
import type { GpuConfig } from "../schema/gpu";
import { batchedTokens, contextTokens, type GpuDemand, MEMORY_DEFAULTS, splitOf } from "./demand";
import { llamaCells } from "./kvCache";
import { type Line, line } from "./lines";

/** CUDA context (and NCCL) of a process on a device: about 0.5 GiB. Source: vLLM's own accounting of co-tenants. */
export const PROCESS_BYTES = GIB / 2;

/**
 * 16-bit elements of a token's activations at the peak of a layer, in widths of the residual stream: gate and up projection
 * and their product (3 × 3.5 widths for today's feed-forwards) beside the residual, its norm and the attention's input.
 */
const ACTIVATION_WIDTHS = 16;

/** What an engine takes on a device beside weights and KV cache. The first line is always the process itself. */
export function overhead(demand: GpuDemand, device: GpuConfig, weightBytes: number): Line[] {
  const { engine } = demand;
  const process = line("process: CUDA context and NCCL", PROCESS_BYTES);
  switch (engine.engine) {
    case "llamacpp":
      return [
        process,
        computeBuffer(demand, engine.ubatchSize ?? MEMORY_DEFAULTS.llamacpp.ubatchSize),
        ...hostCache(device, engine.cacheRam ?? MEMORY_DEFAULTS.llamacpp.cacheRam),
      ];
    case "ollama":
      return [process, computeBuffer(demand, MEMORY_DEFAULTS.llamacpp.ubatchSize)];
    case "vllm":
      return [
        process,
        ...activations(
          demand,
          batchedTokens({ ...demand, engine }),
          engine.maxNumSeqs ?? MEMORY_DEFAULTS.vllm.maxNumSeqs,
        ),
        ...(engine.enforceEager ? [] : [cudaGraphs(weightBytes)]),
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
 * llama.cpp's compute buffer on one device, an upper bound: logits of a batch in 32 bits, the widths that a layer's graph
 * keeps at the same time, and the attention mask in 16 and in 32 bits. Flash attention is assumed, which `auto` turns on.
 */
function computeBuffer({ engine, locked }: GpuDemand, ubatch: number): Line {
  const { vocabularySize, hiddenSize } = locked.shape;
  const cells =
    engine.engine === "llamacpp"
      ? llamaCells(engine).cells
      : engine.engine === "ollama"
        ? engine.contextLength
        : 0;
  const widths = vocabularySize + ACTIVATION_WIDTHS * hiddenSize;
  return line(
    `compute buffer: ${ubatch} tokens × ${widths} logits and activations, mask of ${cells} cells`,
    ubatch * (widths * 4 + cells * 6),
  );
}

function activations(demand: GpuDemand, tokens: number, sequences: number): Line[] {
  const { hiddenSize, vocabularySize } = demand.locked.shape;
  const { tensor } = splitOf(demand);
  const logits = sequences * vocabularySize * 4;
  return [
    line(
      `activations: ${tokens} batched tokens × ${ACTIVATION_WIDTHS} × ${hiddenSize} × 2 bytes`,
      (tokens * ACTIVATION_WIDTHS * hiddenSize * 2) / tensor,
    ),
    // The sampler holds the logits and their sorted copy in 32 bits.
    ...(sequences > 0
      ? [line(`sampling: 2 × ${sequences} requests × ${vocabularySize} tokens`, 2 * logits)]
      : []),
  ];
}

/** Measured graphs take 0.3 to 3 GiB; within these bounds the plan assumes 5 % of the weights. */
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
