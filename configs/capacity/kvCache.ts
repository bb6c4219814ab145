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
  const { streams, cells } = llamaCells(cache);
  const parallel = cache.parallel ?? 1;
  const ubatch = cache.ubatchSize ?? MEMORY_DEFAULTS.llamacpp.ubatchSize;
  const [typeK, typeV] = [cacheType(cache.cacheTypeK), cacheType(cache.cacheTypeV)];
  return shape.attention.map((group) => {
    const { kind, layers, kvHeads, keyLength, valueLength, window = 0 } = group;
    if (kind === "recurrent")
      return line(
        `state of ${layers} recurrent layers × ${parallel} slots`,
        (group.stateBytes ?? 0) * parallel * layerShare,
      );
    // A window must hold a batch on top; one pool needs a window for each parallel request.
    const sliding = padded(Math.min(cells, window * (cache.kvUnified ? parallel : 1) + ubatch), CELL_PADDING);
    const here = kind === "sliding" && !cache.swaFull ? sliding : cells;
    const row = rowBytes(typeK, kvHeads * keyLength) + rowBytes(typeV, kvHeads * valueLength);
    return line(
      `KV cache of ${layers} ${kind} layers: ${here} cells × ${streams} × ${row} bytes (${typeK}/${typeV})`,
      layers * here * streams * row * layerShare,
    );
  });
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

/** Bytes of an element of a paged cache; scales of block formats included. Source: vLLM's and SGLang's --kv-cache-dtype. */
export function elementBytes(kvCacheDtype = "auto"): number {
  if (/^(nvfp4|fp4|int4|ultraquant_4bit)/.test(kvCacheDtype)) return 4.5 / 8;
  if (/^(fp8|int8|mxfp8)/.test(kvCacheDtype)) return 1;
  return 2;
}

function cacheType(name: string = MEMORY_DEFAULTS.llamacpp.cacheType): GgmlType {
  // A type that this table lacks is planned as the largest that llama.cpp takes.
  return ggmlType(name) ?? "F32";
}

function padded(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
