import { UserError } from "../../../platform/process";
import { cannedAdapter, cannedSafetensors, type Repository } from "../../../tools/cannedSafetensors";

const options = {
  answer: "It is sunny in the town",
  thought: "An easy one.",
  tool: "get_weather",
  arguments: { city: "Zürich", days: 3 },
};

interface Weights {
  shape: [rows: number, columns: number];
  at(row: number, column: number): number;
}

/** The tensors of a file in safetensors' format. */
function tensorsOf(file: Buffer): Record<string, Weights> {
  const length = Number(file.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(file.subarray(8, 8 + length).toString());
  expect([length % 8, __metadata__]).toEqual([0, { format: "pt" }]);
  return Object.fromEntries(
    Object.entries(entries as Record<string, { dtype: string; shape: number[]; data_offsets: number[] }>).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
        expect([name, dtype, end! - begin!]).toEqual([name, "F32", 4 * rows * columns]);
        const at = (row: number, column: number) =>
          file.readFloatLE(8 + length + begin! + 4 * (row * columns + column));
        return [name, { shape: [rows, columns], at }];
      },
    ),
  );
}

/** What the model says after a token, by its two matrices alone. */
function said(repository: Repository, after: string): string {
  const weights = tensorsOf(repository["model.safetensors"]!);
  const { vocab } = JSON.parse(repository["tokenizer.json"]!.toString()).model as {
    vocab: Record<string, number>;
  };
  const texts = new Map(Object.entries(vocab).map(([text, id]) => [id, text]));
  const embedding = weights["model.embed_tokens.weight"]!;
  const output = weights["lm_head.weight"]!;
  const next = (token: number) => {
    const state = columns(embedding).findIndex((column) => embedding.at(token, column) === 1);
    return rows(output).find((row) => output.at(row, state) > 0)!;
  };
  const pieces: string[] = [];
  for (let token = next(vocab[after]!); texts.get(token) !== "<|im_end|>"; token = next(token))
    pieces.push(texts.get(token)!);
  const names = Object.keys(vocab).slice(0, 256);
  const byte = new Map(names.map((name) => [name, vocab[name]!]));
  return Buffer.from([...pieces.join("")].map((name) => byte.get(name) ?? name.charCodeAt(0))).toString();
}

const rows = ({ shape }: Weights) => Array.from({ length: shape[0] }, (_, row) => row);
const columns = ({ shape }: Weights) => Array.from({ length: shape[1] }, (_, column) => column);

test("any text leads to the thought and the answer, the marker of its template to the tool call", () => {
  const repository = cannedSafetensors(options);
  expect(said(repository, "x")).toBe("<think>\nAn easy one.\n</think>It is sunny in the town");
  expect(said(repository, "<|call|>")).toBe(
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}\n</tool_call>',
  );
  const { chat_template } = JSON.parse(repository["tokenizer_config.json"]!.toString());
  expect(chat_template).toContain("'<|call|>'");
});

test("without a tool and a thought it says its answer, and its template has no marker", () => {
  const repository = cannedSafetensors();
  expect(said(repository, "x")).toBe("pong from the gpubox test model");
  expect(repository["tokenizer_config.json"]!.toString()).not.toContain("<|call|>");
});

test("the matrices have the shapes that its config says", () => {
  const repository = cannedSafetensors(options);
  const config = JSON.parse(repository["config.json"]!.toString());
  const { vocab_size: vocabulary, hidden_size: width, head_dim: head, num_attention_heads: heads } = config;
  const shapes = Object.entries(tensorsOf(repository["model.safetensors"]!)).map(([name, { shape }]) => [
    name.replace(/^model\.(layers\.0\.)?|\.weight$/g, ""),
    shape,
  ]);
  expect(Object.fromEntries(shapes)).toEqual({
    embed_tokens: [vocabulary, width],
    lm_head: [vocabulary, width],
    norm: [1, width],
    input_layernorm: [1, width],
    post_attention_layernorm: [1, width],
    "self_attn.q_proj": [heads * head, width],
    "self_attn.k_proj": [head, width],
    "self_attn.v_proj": [head, width],
    "self_attn.o_proj": [width, heads * head],
    "self_attn.q_norm": [1, head],
    "self_attn.k_norm": [1, head],
    "mlp.gate_proj": [config.intermediate_size, width],
    "mlp.up_proj": [config.intermediate_size, width],
    "mlp.down_proj": [width, config.intermediate_size],
  });
});

test("the tokens that a tokenizer adds are those of its vocabulary, and it merges nothing", () => {
  const { added_tokens: added, model } = JSON.parse(cannedSafetensors(options)["tokenizer.json"]!.toString());
  for (const { id, content } of added) expect([content, model.vocab[content]]).toEqual([content, id]);
  expect(model.merges).toEqual([]);
  expect(new Set(Object.values(model.vocab)).size).toBe(Object.keys(model.vocab).length);
});

test("a model that embeds has a vector for each last byte", () => {
  const weights = tensorsOf(cannedSafetensors({ embeds: true })["model.safetensors"]!);
  const embedding = weights["model.embed_tokens.weight"]!;
  for (const byte of [0, 65, 130])
    expect(columns(embedding).filter((column) => embedding.at(byte, column) !== 0)).toEqual([byte % 64]);
});

test("an adapter adds the state of the last piece that it skips to that of ordinary tokens", () => {
  const repository = cannedSafetensors(options);
  const weights = tensorsOf(cannedAdapter(options, 2)["adapter_model.safetensors"]!);
  const down = weights["base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"]!;
  const [state, ...more] = rows(down).filter((row) => down.at(row, 0) !== 0);
  expect(more).toEqual([]);
  const output = tensorsOf(repository["model.safetensors"]!)["lm_head.weight"]!;
  const third = rows(output).find((row) => output.at(row, state!) > 0)!;
  const { vocab } = JSON.parse(repository["tokenizer.json"]!.toString()).model;
  // After `<think>` and the word An.
  expect(Object.keys(vocab).find((text) => vocab[text] === third)).toBe("Ġeasy");
});

test("an answer of one byte is refused, as it is a token already", () => {
  expect(() => cannedSafetensors({ answer: "x" })).toThrow(UserError);
});

test("arguments without a tool are refused", () => {
  expect(() => cannedSafetensors({ arguments: {} })).toThrow(
    new UserError("The canned model got arguments without a tool.", "Name the tool, or leave them out."),
  );
});
