import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { addModel } from "../../../../operations/models/addModel";
import { readModelLock } from "../../../../platform/stack/modelLock";
import { scratch } from "../../../support/allocate";
import { type StubHub, startHub, zeroSafetensors } from "../../../support/hub";

const NOBODY = { endpoint: "http://127.0.0.1:9" };
const GPUS = 'gpus: [{ id: 0, memoryGiB: 31.8, computeCapability: "12.0" }]';

let project: string;
const file = () => readFileSync(join(project, "Pulumi.dev.yaml"), "utf8");
const models = () => parse(file()).config["gpubox:models"];

beforeEach(() => {
  project = scratch("add");
  writeFileSync(join(project, "Pulumi.yaml"), "name: gpubox\nruntime: nodejs\n");
  writeFileSync(join(project, "Pulumi.dev.yaml"), `# my box\nconfig:\n  gpubox:host: { ${GPUS} }\n`);
});

test("without a hub the entry says how much memory it may have, and the lock says why", async () => {
  const { name, left, unlocked } = await addModel(
    project,
    "dev",
    "qwen3.6-27b",
    { checkpoint: "nvfp4" },
    NOBODY,
  );
  expect(name).toBe("qwen3.6-27b");
  expect(file()).toMatch(/^# my box\nconfig:\n {2}gpubox:host: /);
  expect(models()).toEqual({
    "qwen3.6-27b": {
      engine: "vllm",
      model: "hf://nvidia/Qwen3.6-27B-NVFP4",
      recipe: "Qwen/Qwen3.6-27B",
      gpu: { devices: [0], memoryGiB: 28.6 },
      trustRemoteCode: true,
      toolCallParser: "qwen3_coder",
      reasoningParser: "qwen3",
      maxModelLen: 131072,
      maxNumSeqs: 4,
      kvCacheDtype: "fp8",
      maxNumBatchedTokens: 4096,
      extraArgs: ["--attention-backend", "flashinfer", "--enable-chunked-prefill"],
    },
  });
  expect(left).toEqual(["--enable-auto-tool-choice", "gpuMemoryUtilization"]);
  expect(unlocked).toMatch(/nvidia\/Qwen3\.6-27B-NVFP4/);
  expect(readModelLock(project)["hf://nvidia/Qwen3.6-27B-NVFP4"]).toEqual({ unresolved: unlocked });
});

test("a second model gets what the first one leaves", async () => {
  await addModel(project, "dev", "llama-3.1-8b-instruct", { as: "small" }, NOBODY);
  await expect(addModel(project, "dev", "qwen3.6-27b", {}, NOBODY)).rejects.toThrow(
    /^Qwen\/Qwen3\.6-27B does not fit on Pulumi\.dev\.yaml's devices: its checkpoints need default \(65 GB\), fp8 \(33 GB\), nvfp4 \(27 GB\), and what is left is 0: 1\.\d GiB\./,
  );
  expect(Object.keys(models())).toEqual(["small"]);
});

test.each([
  ["a model without a recipe", "nope-7b", {}, /^No verified recipe serves "nope-7b"\./],
  ["a model that fits nowhere", "deepseek-v3.2", {}, /does not fit on Pulumi\.dev\.yaml's devices/],
  [
    "a checkpoint that the recipe does not have",
    "qwen3.6-27b",
    { checkpoint: "int2" },
    /^Qwen\/Qwen3\.6-27B has no checkpoint "int2"\./,
  ],
  [
    "a device that nobody declared",
    "qwen3.6-27b",
    { devices: [7] },
    /^Pulumi\.dev\.yaml declares no device 7\./,
  ],
  ["a name that no entry may have", "qwen3.6-27b", { as: "a b" }, /Pulumi\.dev\.yaml has 1 mistake/],
])("nothing is written for %s", async (_, wanted, options, message) => {
  const before = file();
  await expect(addModel(project, "dev", wanted, options, NOBODY)).rejects.toThrow(message);
  expect(file()).toBe(before);
  expect(existsSync(join(project, "models.lock.json"))).toBe(false);
});

test("a name that is taken is refused", async () => {
  await addModel(project, "dev", "gpt-oss-20b", { as: "small" }, NOBODY);
  await expect(addModel(project, "dev", "llama-3.1-8b-instruct", { as: "small" }, NOBODY)).rejects.toThrow(
    /^Pulumi\.dev\.yaml has a model small already\./,
  );
});

describe("with a hub", () => {
  let hub: StubHub;

  /** 12 GiB of weights by their sizes, and a cache so large that the full context does not fit. */
  beforeEach(async () => {
    const config = {
      ...{ architectures: ["GptOssForCausalLM"], num_hidden_layers: 64, hidden_size: 5120, vocab_size: 1000 },
      ...{ num_attention_heads: 40, num_key_value_heads: 40, head_dim: 128, max_position_embeddings: 40960 },
      torch_dtype: "bfloat16",
    };
    const weights = zeroSafetensors({
      "model.layers.0.mlp.weight": { dtype: "BF16", shape: [64, 64], bytes: 8192 },
    });
    const files = { "config.json": Buffer.from(JSON.stringify(config)), "model.safetensors": weights };
    hub = await startHub({ "openai/gpt-oss-20b": { commit: "a".repeat(40), files } });
  });
  afterEach(() => hub.close());

  test("the entry is sized by the planner: the sizes are locked, and the context is the longest that fits", async () => {
    const { unlocked } = await addModel(project, "dev", "gpt-oss-20b", {}, { endpoint: hub.url });
    expect(unlocked).toBeUndefined();
    const { gpu, maxModelLen } = models()["gpt-oss-20b"];
    expect(gpu).toEqual({ devices: [0] });
    expect(maxModelLen).toBeGreaterThan(1024);
    expect(maxModelLen).toBeLessThan(40960);
    expect(readModelLock(project)["hf://openai/gpt-oss-20b"]).toMatchObject({ revision: "a".repeat(40) });
  });
});
