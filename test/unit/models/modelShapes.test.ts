import { shapeOfConfig } from "../../../configs/models/configShape";
import { shapeOfGguf } from "../../../configs/models/ggufShape";

const full = (layers: number, kvHeads: number, keyLength: number, valueLength = keyLength) => ({
  layers,
  kind: "full",
  kvHeads,
  keyLength,
  valueLength,
});

// Public configs of the models named, the keys that matter.
test.each([
  [
    "Llama 3.1 8B: grouped heads",
    { num_hidden_layers: 32, hidden_size: 4096, num_attention_heads: 32, num_key_value_heads: 8 },
    [full(32, 8, 128)],
  ],
  [
    "Qwen3 32B: a head length of its own",
    {
      num_hidden_layers: 64,
      hidden_size: 5120,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 128,
      sliding_window: null,
      use_sliding_window: false,
    },
    [full(64, 8, 128)],
  ],
  [
    "DeepSeek V3: one latent head",
    {
      num_hidden_layers: 61,
      hidden_size: 7168,
      num_attention_heads: 128,
      num_key_value_heads: 128,
      kv_lora_rank: 512,
      qk_rope_head_dim: 64,
      v_head_dim: 128,
    },
    [{ layers: 61, kind: "mla", kvHeads: 1, keyLength: 576, valueLength: 0 }],
  ],
  [
    "Gemma 3 27B: nested, one full layer in six",
    {
      text_config: {
        num_hidden_layers: 62,
        hidden_size: 5376,
        num_attention_heads: 32,
        num_key_value_heads: 16,
        head_dim: 128,
        sliding_window: 1024,
        sliding_window_pattern: 6,
      },
    },
    [{ ...full(52, 16, 128), kind: "sliding", window: 1024 }, full(10, 16, 128)],
  ],
  [
    "gpt-oss 20B: layer_types",
    {
      num_hidden_layers: 4,
      hidden_size: 2880,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      head_dim: 64,
      sliding_window: 128,
      layer_types: ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
    },
    [{ ...full(2, 8, 64), kind: "sliding", window: 128 }, full(2, 8, 64)],
  ],
  [
    "Qwen3-Next 80B: three gated delta nets, then attention",
    {
      num_hidden_layers: 48,
      hidden_size: 2048,
      num_attention_heads: 16,
      num_key_value_heads: 2,
      head_dim: 256,
      full_attention_interval: 4,
      linear_num_value_heads: 32,
      linear_num_key_heads: 16,
      linear_key_head_dim: 128,
      linear_value_head_dim: 128,
      linear_conv_kernel_dim: 4,
    },
    [
      {
        layers: 36,
        kind: "recurrent",
        kvHeads: 0,
        keyLength: 0,
        valueLength: 0,
        stateBytes: 36 * (3 * 8192 * 2 + 32 * 128 * 128 * 4),
      },
      full(12, 2, 256),
    ],
  ],
])("config.json of %s", (_name, keys, attention) => {
  expect(shapeOfConfig(keys, 0).attention).toEqual(attention);
});

test.each([
  [{ architectures: ["XLMRobertaModel"] }, false, "embedding"],
  [{ architectures: ["Qwen3ForCausalLM"] }, true, "embedding"],
  [{ architectures: ["XLMRobertaForSequenceClassification"] }, false, "rerank"],
  [{ architectures: ["WhisperForConditionalGeneration"] }, false, "speech"],
  [{ architectures: ["Gemma3ForConditionalGeneration"], vision_config: {} }, false, "chat"],
])("%j, with sentence-transformers modules: %s, is for %s", (keys, pooled, task) => {
  expect(shapeOfConfig(keys, 0, pooled).task).toBe(task);
});

const ggufKeys = (architecture: string, keys: Record<string, unknown>) =>
  shapeOfGguf(
    {
      "general.architecture": architecture,
      ...Object.fromEntries(Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value])),
    },
    0,
  ).attention;

test.each([
  [
    "a list of heads, 0 for feed-forward layers and states",
    "granitehybrid",
    {
      block_count: 4,
      embedding_length: 64,
      "attention.head_count": 4,
      "attention.head_count_kv": [0, 0, 2, 0],
      "ssm.conv_kernel": 4,
      "ssm.inner_size": 128,
      "ssm.state_size": 16,
      "ssm.group_count": 1,
    },
    [
      {
        layers: 3,
        kind: "recurrent",
        kvHeads: 0,
        keyLength: 0,
        valueLength: 0,
        stateBytes: 3 * 4 * (3 * (128 + 32) + 16 * 128),
      },
      full(1, 2, 16),
    ],
  ],
  [
    "MLA as llama.cpp keeps it",
    "deepseek2",
    {
      block_count: 61n,
      "attention.head_count": 128,
      "attention.head_count_kv": 1,
      "attention.key_length": 576,
      "attention.value_length": 512,
      "attention.key_length_mla": 192,
    },
    [{ layers: 61, kind: "mla", kvHeads: 1, keyLength: 576, valueLength: 0 }],
  ],
  [
    "a window that the architecture ignores",
    "qwen2",
    { block_count: 2, embedding_length: 64, "attention.head_count": 4, "attention.sliding_window": 128 },
    [full(2, 4, 16)],
  ],
  [
    "a pattern as a list, with heads of another length in the window",
    "gemma4",
    {
      block_count: 3,
      embedding_length: 64,
      "attention.head_count": 4,
      "attention.head_count_kv": 2,
      "attention.sliding_window": 512,
      "attention.sliding_window_pattern": [true, true, false],
      "attention.key_length": 32,
      "attention.value_length": 32,
      "attention.key_length_swa": 16,
      "attention.value_length_swa": 16,
    },
    [{ ...full(2, 2, 16), kind: "sliding", window: 512 }, full(1, 2, 32)],
  ],
])("metadata of a GGUF: %s", (_name, architecture, keys, attention) => {
  expect(ggufKeys(architecture, keys)).toEqual(attention);
});
