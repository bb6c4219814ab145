import { parse as parseYaml } from "yaml";
import { memoryOfEntry } from "../../../configs/capacity/entries";
import { planText } from "../../../configs/capacity/report";
import { planStackGpus } from "../../../configs/capacity/stack";
import { type EngineName, engines } from "../../../configs/engines";
import { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import type { LockedPart, ModelLock } from "../../../configs/models/facts";
import { parseStack } from "../../../configs/parse";
import { model } from "../../support/demands";
import { everyImage } from "../../support/engines";
import { rawStack, testPlan, testSecrets } from "../../support/stacks";

const source = "hf://acme/coder";
const host = { gpus: [{ id: 0, memoryGiB: 24 }] };
const coder = {
  engine: "vllm",
  model: source,
  gpu: { devices: [0] },
  maxModelLen: 8192,
  toolCallParser: "hermes",
};
const stack = (models: Record<string, unknown>) => ({ host, models });
const refusal = (models: Record<string, unknown>, lock = {}) => {
  try {
    parseStack({ ...rawStack(stack(models)), lock });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

test("a model of a hub that is not locked is refused at preview", () => {
  expect(refusal({ coder })).toEqual([
    {
      path: "gpubox:models.coder.model",
      what: `${source} is not in models.lock.json.`,
      fix: "Run `gpubox models lock`, and commit the file.",
    },
  ]);
});

test("a model that could not be resolved needs a size from the config, and is then planned by it", () => {
  const lock = { [source]: { unresolved: "The hub does not answer." } };
  expect(refusal({ coder }, lock)).toEqual([
    {
      path: "gpubox:models.coder.gpu.memoryGiB",
      what: `The size of ${source} is unknown: The hub does not answer.`,
      fix: "Say how many GiB it needs on each device, or run `gpubox models lock` where the hub answers.",
    },
  ]);
  expect(refusal({ coder: { ...coder, gpu: { devices: [0], memoryGiB: 20 } } }, lock)).toEqual([]);
  const two = Object.fromEntries(
    ["a", "b"].map((name) => [
      name,
      { engine: "ollama", model: `${name}:1b`, gpu: { devices: [0], memoryGiB: 14 } },
    ]),
  );
  const [problem] = refusal(two);
  expect(problem).toMatchObject({ path: "gpubox:models.b", what: expect.stringContaining("device 0") });
  expect(problem!.details?.join("\n")).toContain("14.00 GiB  what gpu.memoryGiB says: its size is unknown");
  // Not "leave it out": without it nothing could be planned.
  expect(problem!.fix).toBe("Write memoryGiB: 8.79 or less if it needs no more, or use a larger device.");
});

test("an Ollama name, which nothing locks, is not sent to the lock", () => {
  expect(refusal({ a: { engine: "ollama", model: "a:1b", gpu: { devices: [0] } } })).toEqual([
    {
      path: "gpubox:models.a.gpu.memoryGiB",
      what: "The size of a:1b is unknown.",
      fix: "Say how many GiB it needs on each device.",
    },
  ]);
});

describe("the plan of a stack", () => {
  const planned = (models: Record<string, unknown>, lock: ModelLock) =>
    planStackGpus(parseStack(rawStack(stack(models))), lock);

  test("shows no need of a model of unknown size, and says what to do", () => {
    const plan = planned({ coder: { ...coder, gpu: { devices: [0], memoryGiB: 20 } } }, {});
    expect(planText(plan).split("\n")).toEqual([
      "MODEL    DEVICE    NEEDS      SHARE      LEFT",
      "coder    0       unknown  20.00 GiB",
      "reserve  0                 1.20 GiB  2.80 GiB",
      "",
      `coder: the size of ${source} is unknown, so that the plan takes what gpu.memoryGiB says. \`gpubox models lock\` finds it out where the hub answers.`,
    ]);
    expect(plan.placements[0]!.knobs).toEqual({ args: {}, env: {}, config: {} });
  });

  test("counts a projector by its lock, and names one whose size is unknown", () => {
    const llama = {
      ...{ engine: "llamacpp", model: "hf://acme/m/m.gguf", mmproj: "hf://acme/m/eyes.gguf", ctxSize: 4096 },
      gpu: { devices: [0] },
    };
    const locked = { "hf://acme/m/m.gguf": { ...model(4), format: "gguf" as const } };
    const projector: LockedPart = {
      ...{ holds: "projector", revision: "c0ffee", files: [{ path: "eyes.gguf", bytes: 2 ** 30 }] },
      ...{ weightBytes: 2 ** 30, resolvedAt: "2026-11-21T00:00:00.000Z" },
    };
    const without = planned({ llama }, locked);
    const known = planned({ llama }, { ...locked, "hf://acme/m/eyes.gguf": projector });
    const need = (plan: typeof known) => plan.devices[0]!.tenants[0]!.needBytes;
    expect(need(known) - need(without)).toBe(2 ** 30);
    expect(planText(known)).not.toContain("unknown");
    expect(planText(without)).toContain(
      "llama: the size of hf://acme/m/eyes.gguf is unknown and not among its needs.",
    );
  });
});

test("a model that does not fit its device is refused with the sum", () => {
  const [problem, ...others] = refusal({ coder }, { [source]: model(30) });
  expect(others).toEqual([]);
  expect(problem).toMatchObject({ path: "gpubox:models.coder" });
  expect(problem!.what).toContain("device 0");
  expect(problem!.what).toContain("GiB");
});

test("each instance's engine starts with what the planner gives it", () => {
  const lock = { [source]: model(7) };
  const gpus = [
    { id: 0, memoryGiB: 80 },
    { id: 1, memoryGiB: 80 },
  ];
  const config = {
    host: { gpus },
    models: {
      coder: { ...coder, gpu: undefined, instances: [{ gpu: { devices: [0] } }, { gpu: { devices: [1] } }] },
    },
  };
  const plan = testPlan(config, testSecrets, everyImage, lock);
  const { placements } = planStackGpus(parseStack({ ...rawStack(config), lock }), lock);
  expect(placements.map(({ backend }) => backend)).toEqual(["coder-1", "coder-2"]);
  for (const [index, backend] of plan.backends.entries()) {
    const { command } = backend.service.container;
    const bytes = command[command.indexOf("--kv-cache-memory-bytes") + 1];
    expect(bytes).toBe(placements[index]!.knobs.args["--kv-cache-memory-bytes"]);
    expect(backend.needs).toEqual([
      { device: String(index), mib: Math.ceil(placements[index]!.shareBytes / 1024 ** 2) },
    ]);
  }
});

test.each([
  ["vllm", { maxModelLen: 8192 }],
  ["sglang", { contextLength: 8192 }],
  ["tensorrt-llm", { maxSeqLen: 8192 }],
])("%s is planned over all devices that it starts on", (engine, more) => {
  const gpus = [0, 1].map((id) => ({ id, memoryGiB: 24 }));
  const entry = { ...{ engine, model: source, tools: false, ...more }, gpu: { devices: [0, 1] } };
  const lock = { [source]: model(20) };
  const parsed = parseStack({ ...rawStack({ host: { gpus }, models: { coder: entry } }), lock });
  const [tenant] = planStackGpus(parsed, lock).devices[1]!.tenants;
  expect(tenant!.lines[0]).toEqual({
    label: "weights (bfloat16), split over 2 devices",
    bytes: 10 * 2 ** 30,
  });
});

test.each([
  ["llamacpp", { ctxSize: 8192 }],
  ["vllm", { maxModelLen: 8192 }],
  ["sglang", { contextLength: 8192 }],
  ["tensorrt-llm", { maxSeqLen: 8192, config: { kv_cache_config: { enable_block_reuse: true } } }],
])("%s starts with every setting that its plan prints", (engine, more) => {
  const gpus = [0, 1].map((id) => ({ id, memoryGiB: 40 }));
  const isGguf = engine === "llamacpp";
  const from = isGguf ? `${source}/m.gguf` : source;
  const entry = {
    engine,
    model: from,
    ...(isGguf ? {} : { tools: false }),
    ...more,
    gpu: { devices: [0, 1] },
  };
  const config = { host: { gpus }, models: { coder: entry } };
  const lock = { [from]: model(7, {}, isGguf ? "gguf" : "safetensors") };
  const { knobs } = planStackGpus(parseStack({ ...rawStack(config), lock }), lock).placements[0]!;
  const [backend] = testPlan(config, testSecrets, everyImage, lock).backends;
  const { command, entrypoint } = backend!.service.container;
  const words = [...entrypoint, ...command].join(" ");
  expect(Object.keys(knobs.args).length).toBeGreaterThan(1);
  for (const [flag, value] of Object.entries(knobs.args)) expect(words).toContain(`${flag} ${value}`);
  const file = backend!.service.directory.files["trtllm.yaml"];
  const written = file ? parseYaml(renderText(file.text, testSecrets)) : {};
  expect(written).toEqual(
    "config" in more
      ? { kv_cache_config: { ...knobs.config.kv_cache_config, enable_block_reuse: true } }
      : knobs.config,
  );
  expect(Object.keys(knobs.config)).toEqual("config" in more ? ["kv_cache_config"] : []);
});

test("vLLM reads a whole request at once for an embedding model", () => {
  const args = (task: "chat" | "embedding") => {
    const lock = { [source]: model(2, { task }) };
    const entry = { ...coder, maxModelLen: 32_768, mode: task, gpu: { devices: [0] } };
    const parsed = parseStack({ ...rawStack(stack({ coder: entry })), lock });
    return planStackGpus(parsed, lock).placements[0]!.knobs.args["--max-num-batched-tokens"];
  };
  expect([args("chat"), args("embedding")]).toEqual(["8192", "32768"]);
});

test.each([
  [{ engine: "vllm", tensorParallelSize: 2, pipelineParallelSize: 2, maxNumSeqs: 8, enforceEager: true }],
  [{ engine: "vllm", kvCacheDtype: "fp8", maxModelLen: 1, maxNumBatchedTokens: 2, kvCacheMemoryBytes: 3 }],
  [
    {
      engine: "sglang",
      tensorParallelSize: 2,
      maxTotalTokens: 8,
      chunkedPrefillSize: 9,
      memFractionStatic: 0.5,
    },
  ],
  [
    {
      engine: "tensorrt-llm",
      tpSize: 2,
      maxBatchSize: 8,
      maxNumTokens: 9,
      kvCacheFreeGpuMemoryFraction: 0.5,
    },
  ],
  [{ engine: "llamacpp", ctxSize: 1, nGpuLayers: 3, cacheTypeK: "q8_0", cacheTypeV: "q4_0", cacheRam: 64 }],
  [{ engine: "ollama", contextLength: 1, numParallel: 2, kvCacheType: "q8_0" }],
])("settings that decide memory are read by the names that entries have: %j", (settings) => {
  const models = { vllm: "hf://a/b", ollama: "a:1b", llamacpp: "file:///srv/m/m.gguf" } as Record<
    string,
    string
  >;
  const entry = { model: models[settings.engine] ?? "hf://a/b", ...settings };
  expect(memoryOfEntry(engines[settings.engine as EngineName].schema.parse(entry))).toMatchObject(settings);
});

test("a prompt cache counts with the size that llama.cpp starts with", () => {
  const entry = engines.llamacpp.schema.parse({ engine: "llamacpp", model: "canned", memoryMiB: 16_384 });
  expect(memoryOfEntry(entry)).toMatchObject({ cacheRam: 2048 });
});

test("settings that a person chose are kept", () => {
  const lock = { [source]: model(7) };
  const config = stack({ coder: { ...coder, gpuMemoryUtilization: 0.9 } });
  const { command } = testPlan(config, testSecrets, everyImage, lock).backends[0]!.service.container;
  expect(command[command.indexOf("--gpu-memory-utilization") + 1]).toBe("0.9");
  expect(command).not.toContain("--kv-cache-memory-bytes");
});
