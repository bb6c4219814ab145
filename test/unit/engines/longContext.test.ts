import { overriddenContext, scaledContext } from "../../../configs/models/rope";
import { locked, refusals, served } from "../../support/engines";

/** Trained for 32768 tokens. */
const lock = locked({ contextLength: 32_768 }, 8e9);
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32_768 };
const json = JSON.stringify({ rope_scaling: yarn });

const gguf = {
  entry: {
    engine: "llamacpp",
    model: "hf://o/m-GGUF/m.gguf",
    gpu: { devices: [0] },
    parallel: 1,
    ctxSize: 131_072,
  },
  lock: { ...lock, format: "gguf" as const },
};
const vllm = {
  entry: { engine: "vllm", model: "hf://o/m", gpu: { devices: [0] }, maxModelLen: 131_072 },
  lock,
};
const sglang = {
  entry: { engine: "sglang", model: "hf://o/m", gpu: { devices: [0] }, contextLength: 131_072 },
  lock,
};

test.each([
  ["llama.cpp by its keys", gguf, { ropeScaling: "yarn", ropeScale: 4 }],
  ["llama.cpp by its flags", gguf, { extraArgs: ["--rope-scaling", "yarn", "--rope-scale", "4"] }],
  ["llama.cpp by one of each", gguf, { ropeScaling: "yarn", extraArgs: ["--rope_scale", "4"] }],
  [
    "llama.cpp by its variables",
    gguf,
    { env: { LLAMA_ARG_ROPE_SCALING_TYPE: "yarn", LLAMA_ARG_ROPE_SCALE: "4" } },
  ],
  ["vLLM by its key", vllm, { hfOverrides: { rope_parameters: yarn } }],
  ["vLLM by its flag", vllm, { extraArgs: ["--hf-overrides", json] }],
  ["vLLM by its flag with an equals sign", vllm, { extraArgs: [`--hf_overrides=${json}`] }],
  [
    "vLLM by parts of its flag",
    vllm,
    {
      extraArgs: ["--hf-overrides.rope_scaling.rope_type", "yarn", "--hf-overrides.rope_scaling.factor=4.0"],
    },
  ],
  ["vLLM by its language model's config", vllm, { hfOverrides: { text_config: { rope_scaling: yarn } } }],
  ["vLLM by the length itself", vllm, { hfOverrides: { max_position_embeddings: 131_072 } }],
  ["vLLM by its variable", vllm, { env: { VLLM_ALLOW_LONG_MAX_MODEL_LEN: "1" } }],
  ["SGLang by its key", sglang, { jsonModelOverrideArgs: { rope_scaling: yarn } }],
  ["SGLang by its flag", sglang, { extraArgs: ["--json-model-override-args", json] }],
  ["SGLang by the beginning of its flag", sglang, { extraArgs: ["--json-model-over", json] }],
  ["SGLang by its variable", sglang, { env: { SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN: "true" } }],
])("four times the trained context is accepted of %s", (_, { entry, lock }, more) => {
  expect(refusals({ ...entry, ...more }, { lock })).toEqual([]);
});

test.each([
  ["without any", gguf, {}, "ctxSize"],
  ["with a factor that is too small", gguf, { ropeScaling: "yarn", ropeScale: 3.9 }, "ctxSize"],
  // llama-server keeps requests to the trained length then.
  ["that is linear in llama.cpp", gguf, { ropeScaling: "linear", ropeScale: 4 }, "ctxSize"],
  ["without any in vLLM", vllm, {}, "maxModelLen"],
  [
    "whose factor is about something else",
    vllm,
    { hfOverrides: { rope_scaling: { ...yarn, rope_type: "llama3" } } },
    "maxModelLen",
  ],
  ["without any in SGLang", sglang, {}, "contextLength"],
])("it is refused of a model %s", (_, { entry, lock }, more, key) => {
  const most = "ropeScale" in more && more.ropeScaling === "yarn" ? 127_795 : 32_768;
  expect(refusals({ ...entry, ...more }, { lock })).toEqual([
    `${key}: A context of 131072 tokens is longer than the model's ${most}. Write at most ${most}.`,
  ]);
});

test("vLLM and SGLang are told to take it: neither multiplies the length in config.json by YaRN's factor", () => {
  const variables = (model: typeof vllm | typeof sglang, more: object) =>
    served({ ...model.entry, ...more }, { lock }).container.env;
  expect(variables(vllm, { hfOverrides: { rope_scaling: yarn } })).toMatchObject({
    VLLM_ALLOW_LONG_MAX_MODEL_LEN: "1",
  });
  expect(variables(sglang, { jsonModelOverrideArgs: { rope_scaling: yarn } })).toMatchObject({
    SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN: "1",
  });
  expect(variables(vllm, { maxModelLen: 32_768 })).not.toHaveProperty("VLLM_ALLOW_LONG_MAX_MODEL_LEN");
});

test.each([
  ["a factor of the trained length", { rope_scaling: { type: "dynamic", factor: 2 } }, 65_536],
  [
    "a factor of another length",
    { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16_384 } },
    65_536,
  ],
  [
    "a factor for each kind of layer",
    { rope_parameters: { full_attention: yarn, sliding_attention: { rope_type: "default" } } },
    131_072,
  ],
  ["never less than it was", { rope_scaling: { ...yarn, factor: 0.5 } }, 32_768],
  ["nothing that is no number", { rope_scaling: { ...yarn, factor: "4" }, text_config: null }, 32_768],
])("overrides are read: %s", (_, overrides, tokens) => {
  expect(overriddenContext(overrides, 32_768)).toBe(tokens);
});

test("llama.cpp's factor counts from the context that YaRN is told", () => {
  expect(scaledContext({ ropeScaling: "yarn", ropeScale: 8, yarnOrigCtx: 16_384 }, 32_768)).toBe(131_072);
  expect(scaledContext({ ropeScale: 8 }, 32_768)).toBe(32_768);
});
