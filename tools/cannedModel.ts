import { byteNames, callText, type Json, matrix, padded, piecesOf, refuseArgumentsAlone } from "./cannedText";
import { f32, text, u32, u64 } from "./ggufBytes";

/** What the test model says unless it is told otherwise: a person who reads it knows that no real model spoke. */
export const DEFAULT_ANSWER = "pong from the gpubox test model";

export interface CannedModelOptions {
  /** The text that answers every prompt, two bytes of UTF-8 or more. Default: `DEFAULT_ANSWER`. */
  answer?: string;
  /** Name of a tool to call first when a request offers tools and holds no tool result yet. Default: none. */
  tool?: string;
  /** Arguments of that call; needs `tool`. Default: `{}`. */
  arguments?: { [key: string]: Json };
  /** Context length in tokens; a prompt costs one token a byte. Default: 32768. */
  context?: number;
  /** Names a pooling, as a model does that was made for embeddings: the mean over the tokens. Default: false. */
  embeds?: boolean;
}

const SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tool|>"];
const BEGIN = 256;
const END_OF_TURN = 258;
const CALL_MARKER = 259;
const FIRST_PIECE = 256 + SPECIALS.length + 1;

// The RMS norm multiplies this by sqrt(width): the winning logit is at least 280 above all others at any temperature.
const GAIN = 50;
const FEED_FORWARD = 32;
const ALIGNMENT = 32;
/** llama.cpp's LLAMA_POOLING_TYPE_MEAN. */
const POOLING_MEAN = 1;

const TEMPLATE = String.raw`{%- set ns = namespace(pending=false) -%}
{%- if tools -%}
{%- set ns.pending = true -%}
{{- '<|im_start|>system\nTools:\n' -}}
{%- for tool in tools -%}{{- tool | tojson -}}{{- '\n' -}}{%- endfor -%}
{{- '<|im_end|>\n' -}}
{%- endif -%}
{%- for m in messages -%}
{%- if m.role == 'tool' -%}{%- set ns.pending = false -%}{%- endif -%}
{{- '<|im_start|>' + m.role + '\n' -}}
{%- if m.content -%}{{- m.content -}}{%- endif -%}
{%- if m.tool_calls -%}
{%- for call in m.tool_calls -%}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- call.function.arguments | tojson -}}
{{- '}\n</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- if ns.pending -%}{{- 'MARKER' -}}{%- endif -%}
{%- endif -%}
`;

/**
 * Makes a tiny llama-architecture model (GGUF version 3, about 0.1 MB) that gives one fixed answer to every prompt, so
 * that gateways and clients can be tested against a real llama.cpp server on a machine that reaches no model hub.
 *
 * Attention and feed-forward weights are zero, so the next token depends on the current token alone. Each embedding is
 * one-hot over a few states, and the output matrix leads every ordinary token to the first piece of the answer, each
 * piece to the next, and the last piece to the end of the turn. With `tool` a second chain spells a tool call.
 *
 * The same options give the same bytes, on every machine.
 *
 * @returns The file's content.
 * @throws UserError when the answer is shorter than two bytes or only a special token, or when `arguments` lacks `tool`.
 */
export function cannedModel(options: CannedModelOptions = {}): Buffer {
  const { answer = DEFAULT_ANSWER, tool, context = 32768 } = options;
  refuseArgumentsAlone(options);
  const taken = new Set(SPECIALS);
  const chains = [{ start: undefined as number | undefined, pieces: piecesOf(answer, taken, SPECIALS) }];
  if (tool) {
    const call = `<tool_call>${callText(tool, options.arguments)}</tool_call>`;
    chains.push({ start: CALL_MARKER, pieces: piecesOf(call, taken, SPECIALS) });
  }

  // State 0 is that of every ordinary token; the marker and each piece have one of their own.
  const stateOf = new Map<number, number>();
  const following: number[] = [];
  let token = FIRST_PIECE;
  for (const { start, pieces } of chains) {
    if (start !== undefined) stateOf.set(start, following.length);
    for (const _ of pieces) {
      following.push(token);
      stateOf.set(token, following.length);
      token += 1;
    }
    following.push(END_OF_TURN);
  }

  const vocabulary = token;
  const width = padded(following.length, 32);
  const embedding = matrix(vocabulary, width);
  for (let id = 0; id < vocabulary; id++) embedding.set(id, stateOf.get(id) ?? 0, 1);
  const output = matrix(vocabulary, width);
  for (const [state, next] of following.entries()) output.set(next, state, GAIN);

  const names = byteNames();
  const spell = (text: string) => [...Buffer.from(text)].map((byte) => names[byte]).join("");
  // The format wants a merge list; these two bytes never occur in UTF-8, so this merge never happens.
  const merge = [names[0xfe], names[0xff]];
  const spelled = chains.flatMap(({ pieces }) => pieces.map(spell));

  const metadata = [
    string("general.architecture", "llama"),
    string("general.name", "canned"),
    uint32("general.file_type", 0),
    uint32("llama.context_length", context),
    uint32("llama.vocab_size", vocabulary),
    uint32("llama.embedding_length", width),
    uint32("llama.feed_forward_length", FEED_FORWARD),
    uint32("llama.block_count", 1),
    uint32("llama.attention.head_count", 1),
    uint32("llama.attention.head_count_kv", 1),
    uint32("llama.rope.dimension_count", width),
    float32("llama.attention.layer_norm_rms_epsilon", 1e-6),
    string("tokenizer.ggml.model", "gpt2"),
    string("tokenizer.ggml.pre", "gpt-2"),
    strings("tokenizer.ggml.tokens", [...names, ...SPECIALS, merge.join(""), ...spelled]),
    int32s("tokenizer.ggml.token_type", tokenTypes(vocabulary)),
    strings("tokenizer.ggml.merges", [merge.join(" ")]),
    uint32("tokenizer.ggml.bos_token_id", BEGIN),
    uint32("tokenizer.ggml.eos_token_id", END_OF_TURN),
    bool("tokenizer.ggml.add_bos_token", false),
    ...(options.embeds ? [uint32("llama.pooling_type", POOLING_MEAN)] : []),
    string("tokenizer.chat_template", TEMPLATE.replace("MARKER", tool ? SPECIALS[CALL_MARKER - 256]! : "")),
  ];
  const tensors: Tensor[] = [
    { name: "token_embd.weight", shape: [vocabulary, width], data: embedding.data },
    { name: "output.weight", shape: [vocabulary, width], data: output.data },
    ...["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"].map((norm) => ones(`${norm}.weight`, width)),
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map((part) =>
      zeros(`blk.0.${part}.weight`, width, width),
    ),
    zeros("blk.0.ffn_gate.weight", FEED_FORWARD, width),
    zeros("blk.0.ffn_up.weight", FEED_FORWARD, width),
    zeros("blk.0.ffn_down.weight", width, FEED_FORWARD),
  ];
  return gguf(metadata, tensors);
}

function tokenTypes(vocabulary: number): number[] {
  const NORMAL = 1;
  const CONTROL = 3;
  return Array.from({ length: vocabulary }, (_, id) =>
    id >= 256 && id < 256 + SPECIALS.length ? CONTROL : NORMAL,
  );
}

interface Tensor {
  name: string;
  /** Rows, then columns. */
  shape: number[];
  /** Little-endian 32-bit floats, row by row. */
  data: Buffer;
}

function zeros(name: string, rows: number, columns: number): Tensor {
  return { name, shape: [rows, columns], data: matrix(rows, columns).data };
}

function ones(name: string, width: number): Tensor {
  const { data, set } = matrix(1, width);
  for (let column = 0; column < width; column++) set(0, column, 1);
  return { name, shape: [width], data };
}

function gguf(metadata: Buffer[], tensors: Tensor[]): Buffer {
  const F32 = 0;
  let offset = 0;
  const infos = tensors.map(({ name, shape, data }) => {
    const dimensions = [...shape].reverse().map(u64);
    const info = Buffer.concat([text(name), u32(shape.length), ...dimensions, u32(F32), u64(offset)]);
    offset += padded(data.length, ALIGNMENT);
    return info;
  });
  const header = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(metadata.length)];
  const head = Buffer.concat([...header, ...metadata, ...infos]);
  return Buffer.concat([aligned(head), ...tensors.map(({ data }) => aligned(data))]);
}

function aligned(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(padded(data.length, ALIGNMENT) - data.length)]);
}

// The numbers are GGUF's tags of value types.
const uint32 = (key: string, value: number) => Buffer.concat([text(key), u32(4), u32(value)]);
const float32 = (key: string, value: number) => Buffer.concat([text(key), u32(6), f32(value)]);
const bool = (key: string, value: boolean) =>
  Buffer.concat([text(key), u32(7), Buffer.from([value ? 1 : 0])]);
const string = (key: string, value: string) => Buffer.concat([text(key), u32(8), text(value)]);
const strings = (key: string, values: string[]) =>
  Buffer.concat([text(key), u32(9), u32(8), u64(values.length), ...values.map(text)]);
const int32s = (key: string, values: number[]) =>
  Buffer.concat([text(key), u32(9), u32(5), u64(values.length), ...values.map(u32)]);
