import { type GgmlType, ggmlType, rowBytes } from "../models/blocks";
import type { AttentionGroup, ModelShape } from "../models/facts";
import { type LlamaCppMemory, MEMORY_DEFAULTS } from "./demand";
import { type Line, line } from "./lines";

/** llama.cpp pads contexts and window caches to this many cells (src/llama-context.cpp, src/llama-kv-cache-iswa.cpp). */
const CELL_PADDING = 256;

type LlamaCache = Pick<
  LlamaCppMemory,
  "ctxSize" | "parallel" | "kvUnified" | "cacheTypeK" | "cacheTypeV" | "ubatchSize" | "swaFull"
>;

/** Bytes of one token on one device, over all layers that keep tokens. */
export function tokenBytes(
  shape: ModelShape,
  cache: Pick<PagedCache, "elementBytes" | "tensor" | "pipeline">,
): number {
  return shape.attention
    .filter(({ kind }) => kind !== "recurrent")
    .map((group) => Math.ceil(group.layers / cache.pipeline) * tokenElements(group, cache.tensor))
    .reduce((total, elements) => total + elements * cache.elementBytes, 0);
}

/** Cells of llama.cpp's cache: each parallel request has its own stream, or all share one. */
export function llamaCells({ ctxSize, parallel = 1, kvUnified = false }: LlamaCache) {
  const context = padded(ctxSize, CELL_PADDING);
  return kvUnified
    ? { streams: 1, cells: context }
    : { streams: parallel, cells: padded(Math.floor(context / parallel), CELL_PADDING) };
}

/**
 * KV cache of llama-server, a line a kind of layer.
 *
 * @param layerShare part of the layers that is on this device
 */
export function llamaKvCache(shape: ModelShape, cache: LlamaCache, layerShare = 1): Line[] {
  const { streams } = llamaCells(cache);
  const parallel = cache.parallel ?? 1;
  const [typeK, typeV] = cacheTypes(cache);
  return shape.attention.map((group) => {
    const { kind, layers, kvHeads, keyLength, valueLength } = group;
    if (kind === "recurrent")
      return line(
        `state of ${layers} recurrent layers × ${parallel} slots`,
        (group.stateBytes ?? 0) * parallel * layerShare,
      );
    const here = cellsOf(group, cache);
    const row = rowBytes(typeK, kvHeads * keyLength) + rowBytes(typeV, kvHeads * valueLength);
    return line(
      `KV cache of ${layers} ${kind} layers: ${here} cells × ${streams} × ${row} bytes (${typeK}/${typeV})`,
      layers * here * streams * row * layerShare,
    );
  });
}

/** Cells of one stream in a layer of a group. */
function cellsOf({ kind, window = 0 }: AttentionGroup, cache: LlamaCache): number {
  const { cells } = llamaCells(cache);
  if (kind !== "sliding" || cache.swaFull) return cells;
  const { parallel = 1, kvUnified, ubatchSize = MEMORY_DEFAULTS.llamacpp.ubatchSize } = cache;
  // A window must hold a batch on top; one pool needs a window for each parallel request.
  return padded(Math.min(cells, window * (kvUnified ? parallel : 1) + ubatchSize), CELL_PADDING);
}

/** What llama.cpp's attention keeps in the compute buffer. */
export interface LlamaAttention {
  /** Cells that the masks of a token have, of whole contexts and of windows. */
  maskCells: number;
  /**
   * Bytes of the copy in 16 bits that the flash attention of CUDA makes of one layer's cache, all streams, where the cache has
   * another type (`ggml_cuda_flash_attn_ext_get_f16_extra_data` of ggml-cuda/fattn-common.cuh).
   */
  copyBytes: number;
}

export function llamaAttention(shape: ModelShape, cache: LlamaCache): LlamaAttention {
  const { streams } = llamaCells(cache);
  const [typeK, typeV] = cacheTypes(cache);
  const groups = shape.attention.filter(({ kind }) => kind !== "recurrent");
  const masks = new Map(groups.map((group) => [group.kind === "sliding", cellsOf(group, cache)]));
  const copies = groups.map((group) => {
    const { kvHeads, keyLength, valueLength } = group;
    const elements = (typeK === "F16" ? 0 : keyLength) + (typeV === "F16" ? 0 : valueLength);
    return cellsOf(group, cache) * streams * kvHeads * elements * 2;
  });
  return {
    maskCells: [...masks.values()].reduce((total, cells) => total + cells, 0),
    copyBytes: Math.max(0, ...copies),
  };
}

/** How a paged engine keeps its cache. */
export interface PagedCache {
  /** Tokens of one sequence. */
  tokens: number;
  sequences: number;
  /** Bytes of one element. */
  elementBytes: number;
  /** Ranks that share the heads, and stages that share the layers. */
  tensor: number;
  pipeline: number;
  /** Tokens of a page. Default 1. */
  blockSize?: number;
  /** Tokens of a prefill step on top of a window. Absent: the engine keeps whole contexts for sliding layers too. */
  windowBatch?: number;
}

/** KV cache on one device of vLLM, SGLang or TensorRT-LLM, a line a kind of layer. */
export function pagedKvCache(shape: ModelShape, cache: PagedCache): Line[] {
  const { sequences, blockSize = 1 } = cache;
  return shape.attention.map((group) => {
    const layers = Math.ceil(group.layers / cache.pipeline);
    if (group.kind === "recurrent")
      return line(
        `state of ${layers} recurrent layers × ${sequences} sequences`,
        ((group.stateBytes ?? 0) * sequences * layers) / group.layers / cache.tensor,
      );
    const windowed = group.kind === "sliding" && cache.windowBatch !== undefined;
    // vLLM: window - 1 + batched tokens, and one page more for a window that does not begin at one.
    const tokens = windowed
      ? Math.min(cache.tokens, (group.window ?? 0) - 1 + (cache.windowBatch ?? 0)) + blockSize
      : cache.tokens;
    const kept = padded(tokens, blockSize);
    const perToken = tokenElements(group, cache.tensor) * cache.elementBytes;
    return line(
      `KV cache of ${layers} ${group.kind} layers: ${kept} tokens × ${sequences} × ${perToken} bytes`,
      layers * kept * sequences * perToken,
    );
  });
}

/** Elements that one layer keeps of a token on one rank. MLA's latent is whole on every rank; heads are never split. */
function tokenElements({ kind, kvHeads, keyLength, valueLength }: AttentionGroup, tensor: number): number {
  const heads = kind === "mla" ? 1 : Math.max(1, Math.ceil(kvHeads / tensor));
  return heads * (keyLength + valueLength);
}

/**
 * Bytes of an element of a paged cache; scales of block formats included. `auto` is the type that the model computes in.
 * Source: vLLM's and SGLang's --kv-cache-dtype, and vLLM's log of a model with `--dtype float32`.
 */
export function elementBytes(kvCacheDtype = "auto", dtype = "auto"): number {
  if (/^(nvfp4|fp4|int4|ultraquant_4bit)/.test(kvCacheDtype)) return 4.5 / 8;
  if (/^(fp8|int8|mxfp8)/.test(kvCacheDtype)) return 1;
  return kvCacheDtype === "auto" && /^float(32)?$/.test(dtype) ? 4 : 2;
}

function cacheTypes({ cacheTypeK, cacheTypeV }: LlamaCache): [GgmlType, GgmlType] {
  return [cacheType(cacheTypeK), cacheType(cacheTypeV)];
}

function cacheType(name: string = MEMORY_DEFAULTS.llamacpp.cacheType): GgmlType {
  // A type that this table lacks is planned as the largest that llama.cpp takes.
  return ggmlType(name) ?? "F32";
}

function padded(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
