import type { GpuDemand } from "../../../configs/capacity/demand";
import { memoryNeed } from "../../../configs/capacity/memory";
import { PROCESS_BYTES } from "../../../configs/capacity/overhead";
import { type GpuPlan, planGpus } from "../../../configs/capacity/placement";
import type { DeviceId } from "../../../configs/schema/gpu";
import { demand, gpu, model } from "../../support/demands";

const GIB = 2 ** 30;

const device = (plan: GpuPlan, id: DeviceId) => plan.devices.find((one) => one.id === id)!;
const share = (plan: GpuPlan, name: string) =>
  plan.placements.find(({ model }) => model === name)!.shareBytes / GIB;
const args = (plan: GpuPlan, name: string) => plan.placements.find(({ model }) => model === name)!.knobs.args;

test("an engine alone on a device gets all of it except the reserve", () => {
  const plan = planGpus([gpu(0, 80)], [demand("a", { engine: "vllm", maxModelLen: 32768 })]);
  expect(plan.problems).toEqual([]);
  expect(share(plan, "a")).toBe(76);
  expect(device(plan, 0).leftBytes).toBe(0);
});

test("two engines share what is left in equal parts, each above its need", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [
      demand("a", { engine: "vllm", maxModelLen: 32768 }),
      demand("b", { engine: "vllm", maxModelLen: 8192 }, { locked: model(4) }),
    ],
  );
  const [a, b] = device(plan, 0).tenants;
  expect(a!.shareBytes - a!.needBytes).toBe(b!.shareBytes - b!.needBytes);
  expect(a!.shareBytes + b!.shareBytes).toBeLessThanOrEqual(76 * GIB);
});

test("llama.cpp gets what it needs and no more", () => {
  const plan = planGpus([gpu(0, 24)], [demand("a", { engine: "llamacpp", ctxSize: 8192 })]);
  const [tenant] = device(plan, 0).tenants;
  expect(tenant!.shareBytes).toBe(tenant!.needBytes);
  expect(args(plan, "a")).toEqual({ "--ctx-size": "8192", "--n-gpu-layers": "all", "--fit": "off" });
});

test("vLLM gets its cache size in bytes, and a part of the total that leaves its process room", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [demand("a", { engine: "vllm", maxModelLen: 32768 }, { memoryGiB: 40 })],
  );
  const need = memoryNeed(demand("a", { engine: "vllm", maxModelLen: 32768 }), gpu(0, 80));
  expect(args(plan, "a")).toEqual({
    "--gpu-memory-utilization": "0.4926",
    "--kv-cache-memory-bytes": String(40 * GIB - (need.bytes - need.kvBytes)),
    "--max-num-seqs": "256",
    "--max-num-batched-tokens": "8192",
  });
});

test("SGLang's part of the free memory holds its model also when its neighbours are loaded first", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [
      demand("first", { engine: "sglang", contextLength: 32768 }),
      demand("second", { engine: "vllm", maxModelLen: 8192 }, { locked: model(4), memoryGiB: 30 }),
    ],
  );
  const need = memoryNeed(demand("first", { engine: "sglang", contextLength: 32768 }), gpu(0, 80));
  const { "--mem-fraction-static": fraction, "--max-total-tokens": tokens } = args(plan, "first");
  const freeAtRestart = (80 - 30 - 0.5) * GIB;
  const planned = need.weightBytes + Number(tokens) * need.tokenBytes;
  expect(Number(fraction) * freeAtRestart).toBeGreaterThanOrEqual(planned);
  // At its first start it finds more free: the cap in tokens keeps it inside its share.
  const fixed = need.bytes - need.kvBytes;
  expect(fixed + Number(tokens) * need.tokenBytes).toBeLessThanOrEqual(share(plan, "first") * GIB);
  expect(Number(tokens)).toBeGreaterThanOrEqual(32768);
});

test("TensorRT-LLM's part of what is free after the weights is its cache, whoever else is loaded", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [
      demand("a", { engine: "tensorrt-llm", maxSeqLen: 32768 }, { memoryGiB: 40 }),
      demand("b", { engine: "llamacpp", ctxSize: 8192 }),
    ],
  );
  const need = memoryNeed(demand("a", { engine: "tensorrt-llm", maxSeqLen: 32768 }), gpu(0, 80));
  const fixed = need.bytes - need.kvBytes;
  const kv = 40 * GIB - fixed;
  const free = (80 - share(plan, "b")) * GIB - fixed;
  const { knobs } = plan.placements[0]!;
  expect(Number(knobs.args["--kv_cache_free_gpu_memory_fraction"])).toBeCloseTo(kv / free, 3);
  expect(knobs.config).toEqual({ kv_cache_config: { max_tokens: Math.floor(kv / need.tokenBytes) } });
});

test("Ollama gets its context, its slots and the reserve of its device", () => {
  const plan = planGpus(
    [gpu(0, 24)],
    [demand("a", { engine: "ollama", contextLength: 8192, numParallel: 2 })],
  );
  expect(plan.placements[0]!.knobs.env).toEqual({
    OLLAMA_CONTEXT_LENGTH: "8192",
    OLLAMA_NUM_PARALLEL: "2",
    OLLAMA_MAX_LOADED_MODELS: "1",
    OLLAMA_GPU_OVERHEAD: String(Math.ceil(24 * GIB * 0.05)),
  });
});

test("a part of the free memory counts from what starts before it, and keeps its neighbours as they are", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [
      demand("first", { engine: "vllm", maxModelLen: 8192 }, { locked: model(4) }),
      demand("second", { engine: "sglang", contextLength: 8192, memFractionStatic: 0.5 }),
    ],
  );
  const [first, second] = device(plan, 0).tenants;
  expect(first!.shareBytes).toBe(first!.needBytes);
  const need = memoryNeed(demand("second", { engine: "sglang", contextLength: 8192 }), gpu(0, 80));
  const free = 80 * GIB - first!.needBytes - PROCESS_BYTES;
  const other = need.bytes - need.kvBytes - need.weightBytes;
  expect(second!.shareBytes).toBe(Math.floor(0.5 * free + other));
});

test("a part of the free memory that is too small after a restart is refused", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [
      demand("first", { engine: "sglang", contextLength: 8192, memFractionStatic: 0.3 }),
      demand("second", { engine: "vllm" }, { locked: model(4), memoryGiB: 44 }),
    ],
  );
  expect(plan.refusals.map((refusal) => refusal.demand.model)).toEqual(["first"]);
  expect(plan.problems[0]!.fix).toBe("Leave memFractionStatic out: the planner's own share fits.");
});

test("unified memory keeps a reserve for the host, and what is left stays free", () => {
  const plan = planGpus(
    [gpu(0, 119, { unified: true })],
    [demand("a", { engine: "vllm", maxModelLen: 8192 })],
  );
  expect(device(plan, 0).reservedBytes).toBe(Math.ceil(11.9 * GIB));
  expect(device(plan, 0).tenants[0]!.shareBytes).toBe(device(plan, 0).tenants[0]!.needBytes);
});

test("a MIG slice is a device of its own", () => {
  const slices = [gpu("MIG-a", 40), gpu("MIG-b", 40)];
  const plan = planGpus(slices, [demand("a", { engine: "vllm", maxModelLen: 8192 }, { devices: ["MIG-b"] })]);
  expect(plan.devices.map(({ tenants }) => tenants.length)).toEqual([0, 1]);
  expect(share(plan, "a")).toBe(38);
});

test("one model of a group is loaded at a time, so the largest counts", () => {
  const grouped = { start: "ondemand", group: "swap" } as const;
  const plan = planGpus(
    [gpu(0, 24)],
    [
      demand("a", { engine: "llamacpp", ctxSize: 8192 }, grouped),
      demand("b", { engine: "llamacpp", ctxSize: 16384 }, grouped),
      demand("c", { engine: "llamacpp", ctxSize: 4096 }),
    ],
  );
  expect(plan.problems).toEqual([]);
  const [, b, c] = device(plan, 0).tenants;
  expect(device(plan, 0).leftBytes).toBe(Math.floor(24 * GIB * 0.95) - b!.shareBytes - c!.shareBytes);
});

describe("a model that is started by hand", () => {
  const manual = (name: string, weightGiB: number, more: Partial<GpuDemand> = {}) =>
    demand(
      name,
      { engine: "vllm", maxModelLen: 8192 },
      { start: "manual", locked: model(weightGiB), ...more },
    );
  const small = (name: string, more: Partial<GpuDemand> = {}) =>
    demand(name, { engine: "llamacpp", ctxSize: 8192 }, more);

  test("takes nothing from models that start by themselves", () => {
    const plan = planGpus([gpu(0, 80)], [small("a"), manual("giant", 60)]);
    expect(device(plan, 0).tenants.map(({ model }) => model)).toEqual(["a"]);
    expect(plan.problems).toEqual([]);
  });

  test("stops nothing when there is room", () => {
    const plan = planGpus([gpu(0, 80)], [small("a"), manual("giant", 20)]);
    expect(plan.manual.map(({ stops }) => stops)).toEqual([[]]);
  });

  test("stops the config's last models first, and only on devices that it needs", () => {
    const plan = planGpus(
      [gpu(0, 48), gpu(1, 48)],
      [small("a"), small("b"), small("c", { devices: [1] }), manual("giant", 28)],
    );
    expect(plan.manual[0]!.stops).toEqual(["b"]);
    expect(plan.manual[0]!.running.map(({ tenants }) => tenants.map(({ model }) => model))).toEqual([
      ["a", "giant"],
    ]);
  });

  test("stops what the config says, and is refused when that is not enough", () => {
    const plan = planGpus([gpu(0, 48)], [small("a"), small("b"), manual("giant", 40, { excludes: ["b"] })]);
    expect(plan.manual).toEqual([]);
    expect(plan.problems[0]!.what).toMatch(
      /^giant needs .* on device 0, and .* are left: \d+\.\d\d GiB are missing\./,
    );
  });

  test("is refused with the sum when it does not fit even on an empty device", () => {
    const plan = planGpus([gpu(0, 48)], [small("a"), manual("giant", 120)]);
    expect(plan.problems).toHaveLength(1);
    expect(plan.problems[0]!.details?.join("\n")).toContain("120.00 GiB  weights (bfloat16)");
  });
});
