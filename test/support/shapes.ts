import type { GgmlType } from "../../configs/models/blocks";
import type { GgufTensor, GgufValue } from "./gguf";

/** A transformer that llama.cpp can load, as small as its numbers. */
export interface TestShape {
  architecture: "llama" | "gemma3" | "qwen3moe";
  layers: number;
  hidden: number;
  heads: number;
  kvHeads: number;
  headLength: number;
  feedForward: number;
  vocabulary: number;
  context: number;
  type: GgmlType;
  window?: number;
  experts?: number;
  /** The output shares the input's embedding. */
  tied?: boolean;
}

/** Metadata and tensors of a GGUF with this shape: a vocabulary of the 256 bytes and filler, weights as llama.cpp wants them. */
export function ggufOf(shape: TestShape): { metadata: Record<string, GgufValue>; tensors: GgufTensor[] } {
  return { metadata: metadataOf(shape), tensors: tensorsOf(shape) };
}

function metadataOf(shape: TestShape): Record<string, GgufValue> {
  const { architecture: own, vocabulary } = shape;
  const tokens = Array.from({ length: vocabulary }, (_, id) => (id < 256 ? byteName(id) : `token${id}`));
  return {
    "general.architecture": own,
    "general.name": "test",
    "general.file_type": shape.type === "F16" ? 1 : shape.type === "Q4_0" ? 2 : shape.type === "Q8_0" ? 7 : 0,
    [`${own}.context_length`]: shape.context,
    [`${own}.vocab_size`]: vocabulary,
    [`${own}.embedding_length`]: shape.hidden,
    [`${own}.feed_forward_length`]: shape.feedForward,
    [`${own}.block_count`]: shape.layers,
    [`${own}.attention.head_count`]: shape.heads,
    [`${own}.attention.head_count_kv`]: shape.kvHeads,
    [`${own}.attention.key_length`]: shape.headLength,
    [`${own}.attention.value_length`]: shape.headLength,
    [`${own}.rope.dimension_count`]: shape.headLength,
    [`${own}.attention.layer_norm_rms_epsilon`]: 1e-6,
    ...(shape.window ? { [`${own}.attention.sliding_window`]: shape.window } : {}),
    ...(shape.experts
      ? {
          [`${own}.expert_count`]: shape.experts,
          [`${own}.expert_used_count`]: 2,
          [`${own}.expert_feed_forward_length`]: shape.feedForward,
        }
      : {}),
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": tokens.map((_, id) => (id === 256 || id === 257 ? 3 : 1)),
    "tokenizer.ggml.merges": [`${byteName(0xfe)} ${byteName(0xff)}`],
    "tokenizer.ggml.bos_token_id": 256,
    "tokenizer.ggml.eos_token_id": 257,
  };
}

function tensorsOf(shape: TestShape): GgufTensor[] {
  const { architecture, hidden, heads, kvHeads, headLength, feedForward, type } = shape;
  const matrix = (name: string, ...lengths: number[]): GgufTensor => ({
    name: `${name}.weight`,
    type,
    shape: lengths,
  });
  const norm = (name: string, length: number): GgufTensor => ({
    name: `${name}.weight`,
    type: "F32",
    shape: [length],
  });
  const perLayer = (il: number): GgufTensor[] => {
    const at = (name: string) => `blk.${il}.${name}`;
    const experts = shape.experts ? [shape.experts] : [];
    const suffix = shape.experts ? "_exps" : "";
    return [
      norm(at("attn_norm"), hidden),
      matrix(at("attn_q"), hidden, heads * headLength),
      matrix(at("attn_k"), hidden, kvHeads * headLength),
      matrix(at("attn_v"), hidden, kvHeads * headLength),
      matrix(at("attn_output"), heads * headLength, hidden),
      norm(at("ffn_norm"), hidden),
      matrix(at(`ffn_gate${suffix}`), hidden, feedForward, ...experts),
      matrix(at(`ffn_up${suffix}`), hidden, feedForward, ...experts),
      matrix(at(`ffn_down${suffix}`), feedForward, hidden, ...experts),
      ...(shape.experts
        ? [{ ...matrix(at("ffn_gate_inp"), hidden, shape.experts), type: "F32" as const }]
        : []),
      ...(architecture === "llama"
        ? []
        : [norm(at("attn_q_norm"), headLength), norm(at("attn_k_norm"), headLength)]),
      ...(architecture === "gemma3"
        ? [norm(at("post_attention_norm"), hidden), norm(at("post_ffw_norm"), hidden)]
        : []),
    ];
  };
  return [
    matrix("token_embd", hidden, shape.vocabulary),
    norm("output_norm", hidden),
    ...(shape.tied ? [] : [matrix("output", hidden, shape.vocabulary)]),
    ...Array.from({ length: shape.layers }, (_, il) => perLayer(il)).flat(),
  ];
}

/** The printable character by which byte-level vocabularies name a byte. */
function byteName(byte: number): string {
  const plain = (value: number) =>
    (value >= 0x21 && value <= 0x7e) || (value >= 0xa1 && value <= 0xac) || value >= 0xae;
  if (plain(byte)) return String.fromCharCode(byte);
  const before = Array.from({ length: byte }, (_, value) => value).filter((value) => !plain(value)).length;
  return String.fromCharCode(0x100 + before);
}
