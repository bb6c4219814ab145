import type { EngineMemory } from "../../../configs/capacity/demand";
import {
  elementBytes,
  llamaCells,
  llamaKvCache,
  pagedKvCache,
  tokenBytes,
} from "../../../configs/capacity/kvCache";
import { explained, sum } from "../../../configs/capacity/lines";
import { memoryNeed } from "../../../configs/capacity/memory";
import { ggmlType, rowBytes } from "../../../configs/models/blocks";
import { demand, gpu, model } from "../../support/demands";

const GIB = 2 ** 30;
const KIB = 2 ** 10;
const card = gpu(0, 80);
const { shape } = model();

const paged = { tokens: 131072, sequences: 1, elementBytes: 2, tensor: 1, pipeline: 1 };

test("Llama 3.1 8B keeps 128 KiB a token, 16 GiB for its whole context", () => {
  expect(tokenBytes(shape, paged)).toBe(128 * KIB);
  expect(sum(pagedKvCache(shape, paged))).toBe(16 * GIB);
});

test("DeepSeek V3 keeps one latent a token, whole on every rank", () => {
  const deepseek = {
    ...shape,
    attention: [{ layers: 61, kind: "mla" as const, kvHeads: 1, keyLength: 576, valueLength: 0 }],
  };
  expect(tokenBytes(deepseek, paged)).toBe(61 * 576 * 2);
  expect(tokenBytes(deepseek, { ...paged, tensor: 8 })).toBe(61 * 576 * 2);
});

test.each([
  [2, 64 * KIB],
  [8, 16 * KIB],
  // More ranks than heads: each has a head of its own, and heads are never split.
  [16, 16 * KIB],
])("%i ranks share the heads: %i bytes a token", (tensor, bytes) => {
  expect(tokenBytes(shape, { ...paged, tensor })).toBe(bytes);
});

test("vLLM rounds a context up to whole pages", () => {
  expect(sum(pagedKvCache(shape, { ...paged, tokens: 17, blockSize: 16 }))).toBe(32 * 128 * KIB);
});

test("a sliding layer keeps its window, a prefill step and a page, never more than the context", () => {
  const sliding = {
    ...shape,
    attention: [
      { layers: 1, kind: "sliding" as const, kvHeads: 1, keyLength: 64, valueLength: 64, window: 1024 },
    ],
  };
  const kept = (tokens: number) =>
    sum(pagedKvCache(sliding, { ...paged, tokens, blockSize: 16, windowBatch: 2048 })) / 256;
  expect(kept(100_000)).toBe(3088);
  expect(kept(160)).toBe(176);
});

test.each([
  ["auto", 2],
  ["bfloat16", 2],
  ["fp8_e4m3", 1],
  ["int8_per_token_head", 1],
  ["nvfp4", 4.5 / 8],
])("an element of a %s cache has %d bytes", (dtype, bytes) => {
  expect(elementBytes(dtype)).toBe(bytes);
});

test("a cache of type `auto` has the type that the model computes in", () => {
  expect([elementBytes("auto", "float32"), elementBytes(undefined, "float")]).toEqual([4, 4]);
  expect([elementBytes("auto", "float16"), elementBytes("bfloat16", "float32")]).toEqual([2, 2]);
});

// Worked by hand from llama.cpp's block table: 34 bytes for 32 elements, 18 for 32, 144 for 256, 210 for 256.
test.each([
  ["q8_0", 1024, 1088],
  ["q4_0", 1024, 576],
  ["Q4_K", 256, 144],
  ["Q6_K", 512, 420],
  ["bf16", 3, 6],
])("a row of %s with %i elements has %i bytes", (name, elements, bytes) => {
  expect(rowBytes(ggmlType(name)!, elements)).toBe(bytes);
});

test.each([
  [
    { ctxSize: 2000, parallel: 2 },
    { streams: 2, cells: 1024 },
  ],
  [
    { ctxSize: 10000, parallel: 4 },
    { streams: 4, cells: 2560 },
  ],
  [
    { ctxSize: 10000, parallel: 4, kvUnified: true },
    { streams: 1, cells: 10240 },
  ],
  [{ ctxSize: 1 }, { streams: 1, cells: 256 }],
])("llama.cpp turns %j into %j", (settings, cells) => {
  expect(llamaCells(settings)).toEqual(cells);
});

test("llama.cpp's cache types count separately for keys and values", () => {
  const cache = { ctxSize: 1024, cacheTypeK: "q8_0", cacheTypeV: "q4_0" };
  expect(sum(llamaKvCache(shape, cache))).toBe(32 * 1024 * (1088 + 576));
});

test("the lines of a need add up to it, and are shown with their sum", () => {
  const need = memoryNeed(demand("a", { engine: "vllm", maxModelLen: 32768 }), card);
  expect(sum(need.lines)).toBe(need.bytes);
  expect(explained(need.lines)).toMatch(/15\.00 GiB {2}weights \(bfloat16\)\n/);
  expect(explained(need.lines)).toMatch(/4\.00 GiB {2}KV cache of 32 full layers: 32768 tokens × 1 ×/);
  expect(explained(need.lines).split("\n").at(-1)).toMatch(/together$/);
});

const weights = (engine: EngineMemory, more = {}, device = card) =>
  memoryNeed(demand("a", engine, more), device).weightBytes / GIB;

test("llama.cpp leaves the input embedding in the host's memory, and layers that are not offloaded", () => {
  expect(weights({ engine: "llamacpp", ctxSize: 4096 })).toBeCloseTo(8 * 0.95, 6);
  expect(weights({ engine: "llamacpp", ctxSize: 4096, nGpuLayers: 16 })).toBeCloseTo(8 * 0.9 * 0.5, 6);
  expect(weights({ engine: "llamacpp", ctxSize: 4096, nGpuLayers: 0 })).toBe(0);
});

test("layers that are not offloaded keep their cache in the host's memory too", () => {
  const kv = (nGpuLayers: number) =>
    memoryNeed(demand("a", { engine: "llamacpp", ctxSize: 4096, nGpuLayers }), card).kvBytes;
  expect(kv(8) * 4).toBe(kv(32));
});

test("on unified memory the host's part of the weights and its caches count", () => {
  const box = gpu(0, 119, { unified: true });
  expect(weights({ engine: "llamacpp", ctxSize: 4096 }, {}, box)).toBe(8);
  const { lines } = memoryNeed(demand("a", { engine: "llamacpp", ctxSize: 4096 }), box);
  expect(lines.at(-1)).toEqual({
    label: "cache in the host's memory, which is the device's",
    bytes: 8 * GIB,
  });
});

test("tensor parallelism splits the weights, and a 32-bit checkpoint is served with 16 bits", () => {
  const two = { devices: [0, 1] };
  expect(weights({ engine: "vllm", tensorParallelSize: 2 }, two)).toBe(7.5);
  const locked = { ...model(), quantization: "float32" };
  expect(weights({ engine: "vllm" }, { locked })).toBe(7.5);
});

test("Ollama multiplies the context by its slots", () => {
  const kv = (numParallel: number) =>
    memoryNeed(demand("a", { engine: "ollama", contextLength: 8192, numParallel }), card).kvBytes;
  expect(kv(4)).toBe(4 * kv(1));
});

// vLLM's graphs grow with the layers, 18 MiB for each of 32; SGLang's are planned as 5 % of the weights.
test.each<[EngineMemory["engine"], EngineMemory, EngineMemory, number]>([
  ["vllm", { engine: "vllm" }, { engine: "vllm", enforceEager: true }, (32 * 18) / 1024],
  ["sglang", { engine: "sglang" }, { engine: "sglang", disableCudaGraph: true }, 0.05 * 15],
])("%s without CUDA graphs needs less", (_name, graphs, none, gib) => {
  const bytes = (engine: EngineMemory) => memoryNeed(demand("a", engine), card).bytes;
  expect(bytes(graphs) - bytes(none)).toBe(Math.ceil(gib * GIB));
});
