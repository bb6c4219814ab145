import { type CannedModelOptions, DEFAULT_ANSWER } from "./cannedModel";
import { byteNames, callText, matrix, padded, piecesOf, refuseArgumentsAlone } from "./cannedText";

export interface CannedSafetensorsOptions extends Omit<CannedModelOptions, "embeds"> {
  /** What the model thinks before it answers, between `<think>` tags. Default: nothing. */
  thought?: string;
  /** Embeds by the last byte of a text, instead of answering: texts that end alike have one vector. Default: false. */
  embeds?: boolean;
}

/** A Hugging Face repository: file name to content. */
export type Repository = Record<string, Buffer>;

const SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|call|>"];
const TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>"];
const NAMES = [...byteNames(), ...SPECIALS, ...TAGS];
const END_OF_TEXT = NAMES.indexOf("<|endoftext|>");
const END_OF_TURN = NAMES.indexOf("<|im_end|>");
const CALL_MARKER = NAMES.indexOf("<|call|>");

// The RMS norm multiplies this by sqrt(width): the winning logit is at least 400 above all others at any temperature.
const GAIN = 50;
const UNIT = 64;
const HEADS = 2;

const CONTENT = `{%- if m.content is string -%}{{- m.content -}}
{%- elif m.content -%}{%- for part in m.content -%}{{- part.text -}}{%- endfor -%}{%- endif -%}`;

const TEMPLATE = String.raw`{%- set ns = namespace(pending=false) -%}
{%- if tools -%}
{%- set ns.pending = true -%}
{{- '<|im_start|>system\n# Tools\n<tools>' -}}
{%- for tool in tools -%}{{- '\n' -}}{{- tool | tojson -}}{%- endfor -%}
{{- '\n</tools><|im_end|>\n' -}}
{%- endif -%}
{%- for m in messages -%}
{%- if m.role == 'tool' -%}
{%- set ns.pending = false -%}
{{- '<|im_start|>user\n<tool_response>\n' -}}CONTENT{{- '\n</tool_response><|im_end|>\n' -}}
{%- else -%}
{{- '<|im_start|>' + m.role + '\n' -}}CONTENT
{%- for call in m.tool_calls or [] -%}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- call.function.arguments | tojson -}}
{{- '}\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- if ns.pending -%}{{- 'MARKER' -}}{%- endif -%}
{%- endif -%}
`.replaceAll("CONTENT", CONTENT);

/**
 * Makes a tiny model of Qwen3's architecture in safetensors (about 0.3 MB) that gives one fixed answer to every prompt, so that the
 * real vLLM can be tested on a machine that reaches no model hub: its own parsers find the thought (`qwen3`) and the
 * tool call (`hermes`) in what the model says.
 *
 * It works as {@link cannedModel} does: attention and feed-forward are zero, so the next token depends on the current one
 * alone. Weights are 32-bit floats: run it with `dtype: float32`.
 *
 * @returns The files of its repository. The same options give the same bytes.
 * @throws UserError when a text is shorter than two bytes, or when `arguments` lacks `tool`.
 */
export function cannedSafetensors(options: CannedSafetensorsOptions = {}): Repository {
  refuseArgumentsAlone(options);
  const { vocabulary, following, width } = chainsOf(options);
  const stateOf = new Map([...following.keys()].map((token, state) => [token, state]));
  const rows = padded(vocabulary.length, UNIT);
  const embedding = matrix(rows, width);
  const output = matrix(rows, width);
  for (let token = 0; token < rows; token++)
    embedding.set(token, options.embeds ? token % width : (stateOf.get(token) ?? 0), 1);
  for (const [token, next] of following) output.set(next, stateOf.get(token)!, GAIN);
  const { context = 32_768 } = options;
  return {
    "config.json": json(modelConfig(rows, width, context)),
    "generation_config.json": json({
      eos_token_id: [END_OF_TURN],
      pad_token_id: END_OF_TEXT,
      do_sample: true,
    }),
    "tokenizer.json": json(tokenizer(vocabulary)),
    "tokenizer_config.json": json(tokenizerConfig(options, context)),
    "model.safetensors": safetensors([
      { name: "model.embed_tokens.weight", shape: [rows, width], data: embedding.data },
      ...layer(width),
      ones("model.norm.weight", width),
      { name: "lm_head.weight", shape: [rows, width], data: output.data },
    ]),
  };
}

/**
 * Makes a LoRA adapter of the model that {@link cannedSafetensors} makes of the same options: with it, the model begins its answer
 * after the first `skip` pieces (words) of what it says, the thought included.
 *
 * The feed-forward part sees the state of ordinary tokens and adds that of the last skipped piece, five times as strong.
 */
export function cannedAdapter(options: CannedSafetensorsOptions, skip: number): Repository {
  const { following, width } = chainsOf(options);
  let token: number | undefined;
  for (let piece = 0; piece < skip; piece++) token = following.get(token);
  const state = [...following.keys()].indexOf(token);
  const seen = (name: string) => [
    part(`${name}.lora_A`, 1, width, [0, 0]),
    part(`${name}.lora_B`, UNIT, 1, [0, 0]),
  ];
  return {
    "adapter_config.json": json({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: "canned",
      r: 1,
      lora_alpha: 1,
      bias: "none",
      target_modules: ["gate_proj", "up_proj", "down_proj"],
    }),
    "adapter_model.safetensors": safetensors([
      ...seen("gate_proj"),
      ...seen("up_proj"),
      part("down_proj.lora_A", 1, UNIT, [0, 0]),
      // Both projections give sqrt(width), and silu hardly changes it: their product is about the width.
      part("down_proj.lora_B", width, 1, [state, 0], 5 / width),
    ]),
  };
}

function part(
  name: string,
  rows: number,
  columns: number,
  [row, column]: [number, number],
  value = 1,
): Tensor {
  const { data, set } = matrix(rows, columns);
  set(row, column, value);
  const [projection, side] = name.split(".");
  return {
    name: `base_model.model.model.layers.0.mlp.${projection}.${side}.weight`,
    shape: [rows, columns],
    data,
  };
}

/**
 * Texts of the vocabulary, the token that follows each, and how wide the model is. The place of a token among those with a
 * follower is its state; `undefined` is any ordinary token, and the first.
 */
function chainsOf({ answer = DEFAULT_ANSWER, thought, tool, ...options }: CannedSafetensorsOptions) {
  const taken = new Set([...SPECIALS, ...TAGS]);
  const vocabulary = [...NAMES];
  const following = new Map<number | undefined, number>();
  const chain = (start: number | undefined, pieces: string[]) => {
    let last = start;
    for (const piece of pieces) {
      const known = TAGS.includes(piece) ? NAMES.indexOf(piece) : vocabulary.length;
      if (known === vocabulary.length) vocabulary.push(spelled(piece));
      following.set(last, known);
      last = known;
    }
    following.set(last, END_OF_TURN);
  };
  const words = (text: string) => piecesOf(text, taken, SPECIALS);
  const thoughts = thought === undefined ? [] : ["<think>", ...words(`\n${thought}\n`), "</think>"];
  chain(undefined, [...thoughts, ...words(answer)]);
  if (tool) chain(CALL_MARKER, ["<tool_call>", ...words(callText(tool, options.arguments)), "</tool_call>"]);
  return { vocabulary, following, width: padded(following.size, UNIT) };
}

const bytes = byteNames();
const spelled = (text: string) => [...Buffer.from(text)].map((byte) => bytes[byte]).join("");

function modelConfig(rows: number, width: number, context: number) {
  return {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    vocab_size: rows,
    hidden_size: width,
    intermediate_size: UNIT,
    num_hidden_layers: 1,
    num_attention_heads: HEADS,
    num_key_value_heads: 1,
    head_dim: UNIT,
    hidden_act: "silu",
    max_position_embeddings: context,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    tie_word_embeddings: false,
    attention_bias: false,
    bos_token_id: null,
    eos_token_id: END_OF_TURN,
    pad_token_id: END_OF_TEXT,
    torch_dtype: "float32",
  };
}

function tokenizer(vocabulary: string[]) {
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const added = [...SPECIALS, ...TAGS].map((content) => ({
    id: NAMES.indexOf(content),
    content,
    ...{
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: SPECIALS.includes(content),
    },
  }));
  return {
    version: "1.0",
    ...{ truncation: null, padding: null, added_tokens: added, normalizer: null },
    ...{ pre_tokenizer: level, post_processor: null, decoder: level },
    // Without merges, a prompt costs one token a byte, and only the model itself says the pieces.
    model: {
      type: "BPE",
      ...{ dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(vocabulary.map((text, id) => [text, id])),
      merges: [],
    },
  };
}

function tokenizerConfig({ tool }: CannedSafetensorsOptions, context: number) {
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    eos_token: SPECIALS[2],
    pad_token: SPECIALS[0],
    model_max_length: context,
    clean_up_tokenization_spaces: false,
    chat_template: TEMPLATE.replace("MARKER", tool ? "<|call|>" : ""),
  };
}

interface Tensor {
  name: string;
  /** Rows, then columns. */
  shape: number[];
  data: Buffer;
}

/** The one layer: attention and feed-forward add nothing. */
function layer(width: number): Tensor[] {
  const zeros = (name: string, rows: number, columns: number): Tensor => ({
    name: `model.layers.0.${name}.weight`,
    shape: [rows, columns],
    data: matrix(rows, columns).data,
  });
  return [
    ones("model.layers.0.input_layernorm.weight", width),
    zeros("self_attn.q_proj", HEADS * UNIT, width),
    zeros("self_attn.k_proj", UNIT, width),
    zeros("self_attn.v_proj", UNIT, width),
    zeros("self_attn.o_proj", width, HEADS * UNIT),
    ones("model.layers.0.self_attn.q_norm.weight", UNIT),
    ones("model.layers.0.self_attn.k_norm.weight", UNIT),
    ones("model.layers.0.post_attention_layernorm.weight", width),
    zeros("mlp.gate_proj", UNIT, width),
    zeros("mlp.up_proj", UNIT, width),
    zeros("mlp.down_proj", width, UNIT),
  ];
}

function ones(name: string, width: number): Tensor {
  const { data, set } = matrix(1, width);
  for (let column = 0; column < width; column++) set(0, column, 1);
  return { name, shape: [width], data };
}

/** The format: the length of a JSON header, the header, then the tensors one after another. */
function safetensors(tensors: Tensor[]): Buffer {
  let end = 0;
  const entries = tensors.map(({ name, shape, data }) => {
    const begin = end;
    end += data.length;
    return [name, { dtype: "F32", shape, data_offsets: [begin, end] }];
  });
  const header = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const text = Buffer.from(header.padEnd(padded(header.length, 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...tensors.map(({ data }) => data)]);
}

const json = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
