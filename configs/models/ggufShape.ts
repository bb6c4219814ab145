import { groupLayers, type LayerCache } from "./attention";
import type { ModelShape } from "./facts";

/** Metadata of a GGUF by key; 64-bit integers may come as bigint. */
export type GgufMetadata = Readonly<Record<string, unknown>>;

/**
 * Layers that llama.cpp gives a sliding window where the file has a window but no pattern: every `period`-th layer is full
 * (the first of each period with `fullFirst`). Source: `load_swa_pattern` in llama.cpp's src/models. An architecture that is
 * not here ignores a window without a pattern.
 */
const WINDOW_PATTERNS: Record<string, { period: number; fullFirst?: boolean; window?: number }> = {
  afmoe: { period: 4 },
  cohere2: { period: 4 },
  cohere2moe: { period: 4, fullFirst: true },
  exaone4: { period: 4, window: 4096 },
  "exaone-moe": { period: 4, window: 128 },
  gemma2: { period: 2, window: 4096 },
  gemma3: { period: 6 },
  "gemma-embedding": { period: 6 },
  gemma3n: { period: 5 },
  "gpt-oss": { period: 2 },
  laguna: { period: 4, fullFirst: true },
  llama4: { period: 4, window: 8192 },
  mellum: { period: 4 },
  "muse-glimmer": { period: 4 },
  "modern-bert": { period: 3, fullFirst: true },
  olmo2: { period: 4 },
  plamo3: { period: 8 },
  smallthinker: { period: 4, fullFirst: true, window: 4096 },
};

/** Architectures without any attention: each layer keeps a state. */
const RECURRENT = /^(mamba2?|rwkv\w*|arwkv\w*)$/;

/** Architectures whose every layer has attention and a state. */
const PARALLEL_HYBRID = /^falcon-h1$/;

/** Layers of a gemma3n that have a cache of their own; no key of the file says so (llama.cpp, src/models/gemma3n.cpp). */
const GEMMA3N_CACHES = 20;

/** `{arch}.pooling_type`: llama.cpp's LLAMA_POOLING_TYPE_RANK. */
const POOLING_RANK = 4;

/**
 * The shape of a model from its GGUF's metadata, as llama.cpp reads it.
 *
 * @param parameters elements of all tensors
 * @throws Error when the file names no architecture
 */
export function shapeOfGguf(metadata: GgufMetadata, parameters: number): ModelShape {
  const architecture = metadata["general.architecture"];
  if (typeof architecture !== "string") throw new Error("the GGUF names no general.architecture");
  const own = (key: string) => metadata[`${architecture}.${key}`];
  const number = (key: string) => firstNumber(own(key));
  const heads = number("attention.head_count") ?? 0;
  const layers = (number("block_count") ?? 0) - (number("nextn_predict_layers") ?? 0);
  const tokens = metadata["tokenizer.ggml.tokens"];
  return {
    architecture,
    contextLength: number("context_length") ?? 0,
    layers,
    hiddenSize: number("embedding_length") ?? 0,
    attentionHeads: heads,
    vocabularySize: number("vocab_size") ?? (Array.isArray(tokens) ? tokens.length : 0),
    parameters,
    attention: groupLayers(layerCaches(architecture, own, layers)),
    experts: number("expert_count") ?? 0,
    vision: metadata["clip.has_vision_encoder"] === true,
    audio: metadata["clip.has_audio_encoder"] === true,
    task: taskOf(number("pooling_type"), own("attention.causal")),
  };
}

function taskOf(pooling: number | undefined, causal: unknown): ModelShape["task"] {
  if (pooling === POOLING_RANK) return "rerank";
  return pooling || causal === false ? "embedding" : "chat";
}

type Own = (key: string) => unknown;

function layerCaches(architecture: string, own: Own, layers: number): LayerCache[] {
  const number = (key: string) => firstNumber(own(key));
  const heads = perLayer(own("attention.head_count"), 0);
  const kvHeads = perLayer(own("attention.head_count_kv"), undefined);
  const isSliding = slidingLayers(architecture, own);
  const isRecurrent = recurrentLayers(architecture, own);
  const window = number("attention.sliding_window") || (WINDOW_PATTERNS[architecture]?.window ?? 0);
  const headLength = (il: number) => Math.floor((number("embedding_length") ?? 0) / (heads(il) || 1));
  const state = stateBytes(own, heads(0) ?? 0);
  // Layers at the end that read the cache of an earlier one (gemma3n, gemma4).
  const withCache =
    architecture === "gemma3n" ? GEMMA3N_CACHES : layers - (number("attention.shared_kv_layers") ?? 0);
  const isMla = (number("attention.key_length_mla") ?? 0) > 0;

  return Array.from({ length: layers }, (_, il): LayerCache[] => {
    if (isRecurrent(il) && !PARALLEL_HYBRID.test(architecture))
      return [state > 0 ? { kind: "recurrent", stateBytes: state } : { kind: "none" }];
    const both: LayerCache[] = isRecurrent(il) ? [{ kind: "recurrent", stateBytes: state }] : [];
    const headsHere = kvHeads(il) ?? heads(il) ?? 0;
    if (headsHere === 0 || il >= withCache) return both;
    const sliding = window > 0 && isSliding(il);
    const length = (which: "key" | "value") =>
      (sliding ? number(`attention.${which}_length_swa`) : undefined) ??
      number(`attention.${which}_length`) ??
      headLength(il);
    const cells = { kvHeads: headsHere, keyLength: length("key"), valueLength: length("value") };
    if (isMla) return [...both, { kind: "mla", ...cells, valueLength: 0 }];
    return [...both, sliding ? { kind: "sliding", ...cells, window } : { kind: "full", ...cells }];
  }).flat();
}

function slidingLayers(architecture: string, own: Own): (layer: number) => boolean {
  const pattern = own("attention.sliding_window_pattern");
  if (Array.isArray(pattern)) return (il) => Boolean(pattern[il]);
  const known = WINDOW_PATTERNS[architecture];
  const period = firstNumber(pattern) ?? known?.period;
  if (period === undefined) return () => false;
  if (period === 0) return () => true;
  return (il) => (known?.fullFirst ? il % period !== 0 : il % period < period - 1);
}

function recurrentLayers(architecture: string, own: Own): (layer: number) => boolean {
  if (RECURRENT.test(architecture) || PARALLEL_HYBRID.test(architecture)) return () => true;
  const listed = own("attention.recurrent_layers");
  if (Array.isArray(listed)) return (il) => Boolean(listed[il]);
  const kvHeads = own("attention.head_count_kv");
  const feedForward = own("feed_forward_length");
  if (Array.isArray(kvHeads) && kvHeads.some((count) => Number(count) === 0))
    // Nemotron-H has layers that are only feed-forward: no heads and no state.
    return (il) =>
      Number(kvHeads[il]) === 0 &&
      !(Array.isArray(feedForward) && Number(feedForward[il]) > 0 && architecture.startsWith("nemotron"));
  const hasState = ["ssm.state_size", "kda.head_dim"].some((key) => firstNumber(own(key)));
  if (!hasState) return () => false;
  const interval = firstNumber(own("full_attention_interval")) ?? 4;
  return (il) => (il + 1) % interval !== 0;
}

/** Bytes of one layer's state: llama.cpp's `n_embd_r` + `n_embd_s` (src/llama-hparams.cpp), kept as 32-bit floats. */
function stateBytes(own: Own, heads: number): number {
  const number = (key: string) => firstNumber(own(key)) ?? 0;
  const hidden = number("embedding_length");
  const convolution = Math.max(0, number("ssm.conv_kernel") - 1);
  const elements = () => {
    const wkv = number("wkv.head_size");
    if (wkv > 0) return (firstNumber(own("token_shift_count")) ?? 2) * hidden + hidden * wkv;
    const short = number("shortconv.l_cache");
    if (short > 0) return hidden * (short - 1);
    const kda = number("kda.head_dim");
    if (kda > 0) return 3 * (convolution || 3) * heads * kda + kda * kda * heads;
    const inner = number("ssm.inner_size");
    const state = number("ssm.state_size");
    return convolution * (inner + 2 * number("ssm.group_count") * state) + state * inner;
  };
  return elements() * 4;
}

function perLayer(value: unknown, otherwise: number | undefined): (layer: number) => number | undefined {
  if (Array.isArray(value)) return (il) => Number(value[il] ?? value.at(-1));
  const one = firstNumber(value) ?? otherwise;
  return () => one;
}

/** A number, also from a bigint; of a list its largest: a layer must not be planned smaller than it is. */
function firstNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value) && value.length > 0) return Math.max(...value.map(Number));
  return undefined;
}
