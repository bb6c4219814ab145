import { isMap } from "../kit/maps";
import { groupLayers, type LayerCache } from "./attention";
import type { ModelShape } from "./facts";
import { NESTED } from "./rope";

/** Parsed `config.json` of a transformers model. */
export type TransformersConfig = Readonly<Record<string, unknown>>;

/** Bytes of an element of a convolution's state (bfloat16) and of a recurrent state (float32): what vLLM keeps them in. */
const CONV_BYTES = 2;
const STATE_BYTES = 4;

/**
 * The shape of a model from its `config.json`.
 *
 * @param parameters elements of all tensors, packed weights unpacked
 * @param pooled the repository has a sentence-transformers module list: an embedding model, whatever its class is called
 */
export function shapeOfConfig(config: TransformersConfig, parameters: number, pooled = false): ModelShape {
  const text = textConfig(config);
  const number = numbersOf(text);
  const architecture = names(config.architectures)[0] ?? String(config.model_type ?? "unknown");
  const layers = number("num_hidden_layers", "n_layer", "num_layers", "n_layers");
  return {
    architecture,
    contextLength: contextLength(text, number),
    layers,
    hiddenSize: number("hidden_size", "n_embd", "d_model"),
    attentionHeads: number("num_attention_heads", "n_head", "n_heads", "encoder_attention_heads"),
    vocabularySize: number("vocab_size"),
    parameters,
    attention: groupLayers(layerCaches(text, layers)),
    experts: number("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    vision: isMap(config.vision_config) || isMap(config.vision_tower_config),
    audio: isMap(config.audio_config) || /^(Whisper|Qwen\d*ASR|Voxtral)/.test(architecture),
    task: taskOf(architecture, pooled),
  };
}

/** Type of the weights: the quantisation's method, else the torch dtype. */
export function quantizationOfConfig(config: TransformersConfig): string {
  const quantization = config.quantization_config ?? textConfig(config).quantization_config;
  if (isMap(quantization) && typeof quantization.quant_method === "string") return quantization.quant_method;
  const text = textConfig(config);
  const dtype = text.dtype ?? text.torch_dtype ?? config.dtype ?? config.torch_dtype;
  return typeof dtype === "string" ? dtype.replace(/^torch\./, "") : "unknown";
}

function taskOf(architecture: string, pooled: boolean): ModelShape["task"] {
  if (/ForSequenceClassification$/.test(architecture)) return "rerank";
  if (/^(Whisper|Qwen\d*ASR)/.test(architecture)) return "speech";
  return pooled || /(Model|ForMaskedLM)$/.test(architecture) ? "embedding" : "chat";
}

/** Multimodal models nest the language model's keys. */
function textConfig(config: TransformersConfig): TransformersConfig {
  const thinker = isMap(config.thinker_config) ? config.thinker_config : config;
  for (const key of NESTED) {
    const nested = thinker[key];
    if (isMap(nested)) return nested;
  }
  return thinker;
}

/** The trained length; with YaRN-like scaling declared in the config, the scaled one, as vLLM counts it. */
function contextLength(text: TransformersConfig, number: Numbers): number {
  const trained = number(
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_target_positions",
  );
  const scaling = text.rope_scaling ?? text.rope_parameters;
  if (!isMap(scaling) || (scaling.rope_type ?? scaling.type) !== "yarn") return trained;
  const { factor, original_max_position_embeddings: original } = scaling;
  return typeof factor === "number" && typeof original === "number"
    ? Math.max(trained, factor * original)
    : trained;
}

function layerCaches(text: TransformersConfig, layers: number): LayerCache[] {
  const number = numbersOf(text);
  const heads = number("num_attention_heads", "n_head", "n_heads");
  const kvHeads =
    number("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num") || heads;
  const keyLength =
    number("head_dim", "kv_channels") ||
    Math.floor(number("hidden_size", "n_embd", "d_model") / (heads || 1));
  const cells = { kvHeads, keyLength, valueLength: number("v_head_dim") || keyLength };
  const window = number("sliding_window");
  const latent = number("kv_lora_rank");
  const kindOf = layerKinds(text, number);
  return Array.from({ length: layers }, (_, il): LayerCache => {
    const kind = kindOf(il);
    if (kind === "recurrent") return { kind, stateBytes: stateBytes(number) };
    if (kind === "none") return { kind };
    if (latent > 0)
      return { kind: "mla", kvHeads: 1, keyLength: latent + number("qk_rope_head_dim"), valueLength: 0 };
    return kind === "sliding" && window > 0 ? { kind, ...cells, window } : { kind: "full", ...cells };
  });
}

type Kind = LayerCache["kind"];

/** What transformers writes for a layer, in `layer_types`, `layers_block_type` or a letter of `hybrid_override_pattern`. */
const KIND_NAMES: Record<string, Kind> = {
  sliding_attention: "sliding",
  linear_attention: "recurrent",
  mamba: "recurrent",
  conv: "recurrent",
  recurrent: "recurrent",
  M: "recurrent",
  "-": "none",
  E: "none",
  mlp: "none",
  moe: "none",
};

function layerKinds(text: TransformersConfig, number: Numbers): (layer: number) => Kind {
  const pattern = text.hybrid_override_pattern;
  const listed = [text.layer_types, text.layers_block_type, typeof pattern === "string" ? [...pattern] : []]
    .map(names)
    .find((list) => list.length > 0);
  // Chunked attention (llama4) and whatever is new here count as full: never too small.
  if (listed) return (il) => KIND_NAMES[listed[il] ?? ""] ?? "full";
  const period = number("attn_layer_period");
  if (period > 0) return (il) => (il % period === number("attn_layer_offset") ? "full" : "recurrent");
  const interval = number("full_attention_interval");
  if (interval > 0) return (il) => ((il + 1) % interval === 0 ? "full" : "recurrent");
  if (number("sliding_window") === 0 || text.use_sliding_window === false) return () => "full";
  const every = number("sliding_window_pattern") || (text.model_type === "gemma2" ? 2 : 0);
  if (every > 0) return (il) => ((il + 1) % every === 0 ? "full" : "sliding");
  const first = text.use_sliding_window === true ? number("max_window_layers") : 0;
  return (il) => (il >= first ? "sliding" : "full");
}

/** Bytes of one layer's state: gated delta net (Qwen3-Next), short convolution (LFM2) or Mamba. */
function stateBytes(number: Numbers): number {
  const deltaHeads = number("linear_num_value_heads");
  if (deltaHeads > 0) {
    const keys = number("linear_num_key_heads") * number("linear_key_head_dim");
    const values = deltaHeads * number("linear_value_head_dim");
    const convolution = (number("linear_conv_kernel_dim") - 1) * (2 * keys + values);
    return convolution * CONV_BYTES + values * number("linear_key_head_dim") * STATE_BYTES;
  }
  const short = number("conv_L_cache");
  if (short > 0) return (short - 1) * number("hidden_size") * CONV_BYTES;
  const inner =
    number("mamba_num_heads", "mamba_n_heads") * number("mamba_head_dim", "mamba_d_head") ||
    number("intermediate_size_mamba", "mamba_d_ssm") ||
    (number("mamba_expand", "expand") || 2) * number("hidden_size");
  const state = number("ssm_state_size", "mamba_d_state", "state_size");
  const groups = number("n_groups", "mamba_n_groups");
  const kernel = number("conv_kernel", "mamba_d_conv") || 4;
  return (kernel - 1) * (inner + 2 * groups * state) * CONV_BYTES + inner * state * STATE_BYTES;
}

type Numbers = (...keys: string[]) => number;

/** Reads the first key that holds a number; 0 where none does. */
function numbersOf(config: TransformersConfig): Numbers {
  return (...keys) => {
    for (const key of keys) {
      const value = config[key];
      if (typeof value === "number") return value;
    }
    return 0;
  };
}

function names(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
