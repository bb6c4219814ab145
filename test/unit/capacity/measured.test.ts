import type { LlamaCppMemory, VllmMemory } from "../../../configs/capacity/demand";
import { memoryNeed } from "../../../configs/capacity/memory";
import type { LockedModel } from "../../../configs/models/facts";
import { demand, gpu, model } from "../../support/demands";
import { tensorBytes } from "../../support/gguf";
import { ggufOf, type TestShape } from "../../support/shapes";

/**
 * What processes held of an NVIDIA H200 (driver 580.159.04, CUDA 13.0), as NVML counts it, on 2026-11-29: docs/verified.md. The
 * figures are the most that was seen while they answered. The models had random weights; sizes follow from shapes alone.
 */
const CARD = gpu(0, 139.8);
const MIB = 2 ** 20;
/** How far the plan may be off. */
const BAR = 0.08;

type Shape = Pick<TestShape, "layers" | "hidden" | "heads" | "kvHeads" | "feedForward" | "vocabulary">;

const facts = ({ layers, hidden, heads, kvHeads, vocabulary }: Shape): Partial<LockedModel["shape"]> => ({
  ...{ layers, hiddenSize: hidden, attentionHeads: heads, vocabularySize: vocabulary },
  attention: [{ layers, kind: "full", kvHeads, keyLength: 128, valueLength: 128 }],
});

function gguf(shape: Shape, type: "F16" | "Q8_0", tied: boolean): LockedModel {
  const more = { architecture: "llama", headLength: 128, context: 131072 } as const;
  const { tensors } = ggufOf({ ...shape, ...more, type, tied });
  const bytes = (pattern: RegExp) =>
    tensors.filter(({ name }) => pattern.test(name)).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const weightBytes = bytes(/./);
  return {
    ...model(1, facts(shape), "gguf"),
    ...{ weightBytes, layerBytes: bytes(/^blk/), quantization: type },
    inputBytes: tied ? 0 : bytes(/^token_embd/),
  };
}

const TINY = { layers: 4, hidden: 1024, heads: 8, kvHeads: 2, feedForward: 2816, vocabulary: 32000 };
const THREE = { layers: 28, hidden: 3072, heads: 24, kvHeads: 8, feedForward: 8192, vocabulary: 128256 };
const EIGHT = { layers: 32, hidden: 4096, heads: 32, kvHeads: 8, feedForward: 14336, vocabulary: 128256 };

const LLAMA_MODELS = {
  "0.15 GiB, f16": gguf(TINY, "F16", true),
  "3B, f16": gguf(THREE, "F16", true),
  "8B, q8_0": gguf(EIGHT, "Q8_0", false),
};
type LlamaModel = keyof typeof LLAMA_MODELS;

const q8 = { cacheTypeK: "q8_0", cacheTypeV: "q8_0" };

/** llama-server of llama.cpp b11549: its compute buffer by its log, and the whole process, in MiB. */
const LLAMA: [LlamaModel, Omit<LlamaCppMemory, "engine">, number, number][] = [
  ["0.15 GiB, f16", { ctxSize: 4096 }, 28.51, 890],
  ["0.15 GiB, f16", { ctxSize: 32768, parallel: 4 }, 32.51, 1006],
  ["0.15 GiB, f16", { ctxSize: 16384, ubatchSize: 2048 }, 162.05, 1078],
  ["3B, f16", { ctxSize: 8192, ubatchSize: 1024 }, 160.03, 7894],
  // Two streams of 32,768 quantised cells: their copy in 16 bits is larger than the feed-forward part.
  ["3B, f16", { ctxSize: 65536, parallel: 2, ...q8 }, 318.09, 10954],
  ["3B, f16", { ctxSize: 131072 }, 200.01, 21364],
  ["3B, f16", { ctxSize: 131072, parallel: 8, kvUnified: true }, 200.01, 21364],
  ["8B, q8_0", { ctxSize: 8192, ubatchSize: 128 }, 31.0, 9262],
  ["8B, q8_0", { ctxSize: 16384, ubatchSize: 2048, ...q8 }, 528.13, 9842],
  ["8B, q8_0", { ctxSize: 32768, parallel: 4 }, 124.01, 12428],
  ["8B, q8_0", { ctxSize: 32768, parallel: 4, ubatchSize: 2048 }, 496.05, 12822],
];

test.each(LLAMA)("llama.cpp, %s with %j: compute buffer %d MiB, %d MiB in all", (name, set, buffer, all) => {
  const locked = LLAMA_MODELS[name];
  const { bytes, lines } = memoryNeed(demand("m", { engine: "llamacpp", ...set }, { locked }), CARD);
  expect(Math.abs(bytes / MIB / all - 1)).toBeLessThan(BAR);
  const planned = lines.find(({ label }) => label.startsWith("compute buffer"))!.bytes / MIB;
  expect(planned).toBeGreaterThanOrEqual(buffer - 0.2);
  expect(planned).toBeLessThan(buffer * 1.45);
});

/** Of Qwen3's shape with tied embeddings, in bfloat16. */
const qwen3 = (shape: Shape, weightMiB: number): LockedModel => ({
  ...model(1, facts(shape)),
  weightBytes: weightMiB * MIB,
});

const VLLM_MODELS = {
  "1.7B": qwen3(
    { layers: 28, hidden: 2048, heads: 16, kvHeads: 8, feedForward: 6144, vocabulary: 151936 },
    3281.74,
  ),
  "4B": qwen3(
    { layers: 36, hidden: 2560, heads: 32, kvHeads: 8, feedForward: 9728, vocabulary: 151936 },
    7672.25,
  ),
};

/** vLLM 0.26.0: the cache that it was given, the most that it held under 32 requests of 7,000 tokens, in MiB. */
const VLLM: [keyof typeof VLLM_MODELS, Omit<VllmMemory, "engine">, number, number][] = [
  ["1.7B", { maxModelLen: 16384 }, 5330.3, 10968],
  ["4B", { maxModelLen: 32768 }, 15071.4, 25748],
  ["4B", { maxModelLen: 32768, enforceEager: true, maxNumSeqs: 64, maxNumBatchedTokens: 4096 }, 4608, 13614],
];

test.each(VLLM)("vLLM, %s with %j: a cache of %d MiB, %d MiB in all", (name, set, cache, all) => {
  const locked = VLLM_MODELS[name];
  const { bytes, kvBytes } = memoryNeed(demand("m", { engine: "vllm", ...set }, { locked }), CARD);
  const beside = (bytes - kvBytes) / MIB;
  expect(Math.abs((beside + cache) / all - 1)).toBeLessThan(BAR);
  // With the smallest cache too, a single context: the rest does not grow with it.
  expect(Math.abs(bytes / MIB / (all - cache + kvBytes / MIB) - 1)).toBeLessThan(BAR);
});
