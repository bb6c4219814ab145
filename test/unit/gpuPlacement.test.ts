import fc from "fast-check";
import type { EngineMemory, GpuDemand } from "../../configs/gpu/demand";
import { memoryNeed } from "../../configs/gpu/memory";
import { type GpuPlan, planGpus } from "../../configs/gpu/placement";
import type { AttentionGroup } from "../../configs/models/facts";
import type { DeviceId, GpuConfig } from "../../configs/schema/gpu";
import { demand, gpu, model } from "../support/demands";

const GIB = 2 ** 30;

const device = (plan: GpuPlan, id: DeviceId) => plan.devices.find((one) => one.id === id)!;
const share = (plan: GpuPlan, name: string) =>
  plan.placements.find(({ model }) => model === name)!.shareBytes / GIB;
const args = (plan: GpuPlan, name: string) => plan.placements.find(({ model }) => model === name)!.knobs.args;

test("an engine alone on a device gets all of it but the reserve", () => {
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
  expect(args(plan, "a")).toEqual({ "--ctx-size": "8192", "--gpu-layers": "all", "--fit": "off" });
});

test("vLLM is told its cache in bytes, and a part of the total that leaves its process room", () => {
  const plan = planGpus(
    [gpu(0, 80)],
    [demand("a", { engine: "vllm", maxModelLen: 32768 }, { memoryGiB: 40 })],
  );
  const need = memoryNeed(demand("a", { engine: "vllm", maxModelLen: 32768 }), gpu(0, 80));
  expect(args(plan, "a")).toEqual({
    "--gpu-memory-utilization": "0.4937",
    "--kv-cache-memory-bytes": String(40 * GIB - (need.bytes - need.kvBytes)),
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
  expect(Number(knobs.args["--free_gpu_memory_fraction"])).toBeCloseTo(kv / free, 3);
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
  const free = 80 * GIB - first!.needBytes - GIB / 2;
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

test("of a group one is loaded at a time: the largest takes the room", () => {
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

  test("takes nothing from what runs by default", () => {
    const plan = planGpus([gpu(0, 80)], [small("a"), manual("giant", 60)]);
    expect(device(plan, 0).tenants.map(({ model }) => model)).toEqual(["a"]);
    expect(plan.problems).toEqual([]);
  });

  test("stops nobody where there is room", () => {
    const plan = planGpus([gpu(0, 80)], [small("a"), manual("giant", 20)]);
    expect(plan.manual.map(({ stops }) => stops)).toEqual([[]]);
  });

  test("stops the last of the config first, and only on devices that it wants", () => {
    const plan = planGpus(
      [gpu(0, 48), gpu(1, 48)],
      [small("a"), small("b"), small("c", { devices: [1] }), manual("giant", 28)],
    );
    expect(plan.manual[0]!.stops).toEqual(["b"]);
    expect(plan.manual[0]!.running.map(({ tenants }) => tenants.map(({ model }) => model))).toEqual([
      ["a", "giant"],
    ]);
  });

  test("stops what the config says, and is refused where that is not enough", () => {
    const plan = planGpus([gpu(0, 48)], [small("a"), small("b"), manual("giant", 40, { excludes: ["b"] })]);
    expect(plan.manual).toEqual([]);
    expect(plan.problems[0]!.what).toMatch(
      /^giant needs .* on device 0, and .* are left: \d+\.\d\d GiB are missing\./,
    );
  });

  test("is refused with the sum where not even an empty device holds it", () => {
    const plan = planGpus([gpu(0, 48)], [small("a"), manual("giant", 120)]);
    expect(plan.problems).toHaveLength(1);
    expect(plan.problems[0]!.what).toContain("120.00 GiB  weights (bfloat16)");
  });
});

describe("a refusal", () => {
  const refusal = (gpus: GpuConfig[], demands: GpuDemand[]) => planGpus(gpus, demands).problems[0]!;

  test("says model, device, what is missing, and the sum line by line", () => {
    const { path, what } = refusal([gpu(0, 24)], [demand("a", { engine: "llamacpp", ctxSize: 131072 })]);
    expect(path).toBe("gpubox:models.a");
    const lines = what.split("\n");
    expect(lines[0]).toMatch(
      /^a needs \d+\.\d\d GiB on device 0, and 22\.80 GiB of 24\.00 GiB are left: \d+\.\d\d GiB are missing\.$/,
    );
    expect(lines.slice(1, -1).map((line) => line.trim().replace(/^\S+ \S+ +/, ""))).toEqual([
      "weights (Q8_0) of 32 of 32 layers",
      "weights of the output (Q8_0)",
      "KV cache of 32 full layers: 131072 cells × 1 × 4096 bytes (F16/F16)",
      "process: CUDA context and NCCL",
      "compute buffer: 512 tokens × 193792 logits and activations, mask of 131072 cells",
      "together",
    ]);
  });

  test("names the longest context that fits", () => {
    const { fix } = refusal([gpu(0, 24)], [demand("a", { engine: "llamacpp", ctxSize: 131072 })]);
    const tokens = Number(/^Set ctxSize to (\d+) or less \(it is 131072\)\.$/.exec(fix)?.[1]);
    const bytes = (ctxSize: number) =>
      memoryNeed(demand("a", { engine: "llamacpp", ctxSize }), gpu(0, 24)).bytes;
    expect(bytes(tokens)).toBeLessThanOrEqual(22.8 * GIB);
    expect(bytes(tokens + 256)).toBeGreaterThan(22.8 * GIB);
  });

  test("names another device where no context would fit", () => {
    const gpus = [gpu(0, 24), gpu(1, 80)];
    expect(
      refusal(gpus, [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(30) })]).fix,
    ).toBe("Move it to device 1, which has 76.00 GiB left.");
  });

  test("names a quantisation that fits where no device would do", () => {
    expect(
      refusal(
        [gpu(0, 24)],
        [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(30, { parameters: 15e9 }) })],
      ).fix,
    ).toBe("Use a smaller quantisation of it: fp8, at 8.2 bits a weight, would fit.");
  });

  test("counts the host's reserve where it names a larger box", () => {
    const { fix } = refusal(
      [gpu(0, 8, { unified: true })],
      [demand("a", { engine: "encoder", maxBatchTokens: 512 }, { locked: model(2, { parameters: 1e12 }) })],
    );
    const bytes = memoryNeed(
      demand("a", { engine: "encoder", maxBatchTokens: 512 }, { locked: model(2) }),
      gpu(0, 8),
    ).bytes;
    expect(fix).toBe(
      `It needs a device of ${(Math.ceil((bytes / GIB + 8) * 100) / 100).toFixed(2)} GiB for itself, or a smaller model.`,
    );
  });

  test("names the device that it takes where nothing else helps", () => {
    expect(
      refusal(
        [gpu(0, 8)],
        [demand("a", { engine: "vllm", maxModelLen: 8192 }, { locked: model(500, { parameters: 250e9 }) })],
      ).fix,
    ).toMatch(/^It needs a device of \d+\.\d\d GiB for itself, or a smaller model\.$/);
  });

  test("blames a fixed share, not the model, where the planner's own would fit", () => {
    expect(
      refusal([gpu(0, 80)], [demand("a", { engine: "vllm", maxModelLen: 32768, gpuMemoryUtilization: 0.2 })]),
    ).toMatchObject({
      what: expect.stringMatching(
        /^a needs .* on device 0, and gpuMemoryUtilization gives it 16\.50 GiB: \d+\.\d\d GiB are missing\./,
      ),
      fix: "Leave gpuMemoryUtilization out: the planner's own share fits.",
    });
  });
});

test.each<[string, GpuConfig[], GpuDemand[], string, string]>([
  [
    "a device that the host does not declare",
    [gpu(0, 24)],
    [demand("a", { engine: "vllm" }, { devices: [3] })],
    "gpubox:models.a.gpu.devices",
    "The host declares no device 3.",
  ],
  [
    "a device named twice",
    [gpu(0, 24)],
    [demand("a", { engine: "llamacpp", ctxSize: 512 }, { devices: [0, 0] })],
    "gpubox:models.a.gpu.devices",
    "It names device 0 twice.",
  ],
  [
    "two instances on one device",
    [gpu(0, 80)],
    [
      demand("a", { engine: "vllm" }, { backend: "a-0" }),
      demand("a", { engine: "vllm" }, { backend: "a-1" }),
    ],
    "gpubox:models.a.gpu.devices",
    "a-1 claims device 0, which another instance of a has.",
  ],
  [
    "ranks that are not its devices",
    [gpu(0, 80)],
    [demand("a", { engine: "vllm", tensorParallelSize: 2 })],
    "gpubox:models.a.tensorParallelSize",
    "2 × 1 ranks do not match its 1 devices.",
  ],
  [
    "ranks that do not divide the heads",
    [gpu(0, 80), gpu(1, 80), gpu(2, 80)],
    [demand("a", { engine: "vllm", tensorParallelSize: 3 }, { devices: [0, 1, 2] })],
    "gpubox:models.a.tensorParallelSize",
    "3 does not divide its 32 attention heads.",
  ],
  [
    "a context beyond the model's",
    [gpu(0, 80)],
    [demand("a", { engine: "sglang", contextLength: 200000 })],
    "gpubox:models.a.contextLength",
    "200000 tokens a request are more than the 131072 that the model was trained for.",
  ],
  [
    "a slot's context beyond the model's",
    [gpu(0, 80)],
    [demand("a", { engine: "llamacpp", ctxSize: 300000, parallel: 2 })],
    "gpubox:models.a.ctxSize",
    "150000 tokens a request are more than the 131072 that the model was trained for.",
  ],
  [
    "a GGUF for an engine that cannot read it",
    [gpu(0, 80)],
    [demand("a", { engine: "vllm" }, { locked: model(8, {}, "gguf") })],
    "gpubox:models.a.model",
    "vllm cannot read a GGUF.",
  ],
  [
    "safetensors for llama.cpp",
    [gpu(0, 80)],
    [demand("a", { engine: "llamacpp", ctxSize: 512 }, { locked: model() })],
    "gpubox:models.a.model",
    "llamacpp cannot read safetensors.",
  ],
  [
    "a model over two slices",
    [gpu("MIG-a", 40), gpu("MIG-b", 40)],
    [demand("a", { engine: "vllm", tensorParallelSize: 2 }, { devices: ["MIG-a", "MIG-b"] })],
    "gpubox:models.a.tensorParallelSize",
    "A model cannot be split over MIG slices.",
  ],
])("%s is a mistake before any sum", (_name, gpus, demands, path, what) => {
  expect(planGpus(gpus, demands).problems).toEqual([{ path, what, fix: expect.any(String) }]);
});

describe("for every host and every stack", () => {
  const context = fc.integer({ min: 4, max: 512 }).map((steps) => steps * 256);
  const engines: fc.Arbitrary<EngineMemory> = fc.oneof(
    fc.record({
      engine: fc.constant("llamacpp" as const),
      ctxSize: context,
      parallel: fc.integer({ min: 1, max: 8 }),
      kvUnified: fc.boolean(),
    }),
    fc.record({
      engine: fc.constant("ollama" as const),
      contextLength: context,
      numParallel: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record(
      {
        engine: fc.constant("vllm" as const),
        maxModelLen: context,
        gpuMemoryUtilization: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      },
      { requiredKeys: ["engine", "maxModelLen"] },
    ),
    fc.record(
      {
        engine: fc.constant("sglang" as const),
        contextLength: context,
        memFractionStatic: fc.double({ min: 0.1, max: 0.95, noNaN: true }),
      },
      { requiredKeys: ["engine", "contextLength"] },
    ),
    fc.record({ engine: fc.constant("tensorrt-llm" as const), maxSeqLen: context }),
    fc.record({ engine: fc.constant("encoder" as const), maxBatchTokens: context }),
  );
  const attention = fc.constantFrom<AttentionGroup[][]>(
    [{ layers: 32, kind: "full" as const, kvHeads: 8, keyLength: 128, valueLength: 128 }],
    [
      { layers: 26, kind: "sliding" as const, kvHeads: 8, keyLength: 128, valueLength: 128, window: 1024 },
      { layers: 6, kind: "full" as const, kvHeads: 8, keyLength: 128, valueLength: 128 },
    ],
    [{ layers: 32, kind: "mla" as const, kvHeads: 1, keyLength: 576, valueLength: 0 }],
    [
      { layers: 24, kind: "recurrent" as const, kvHeads: 0, keyLength: 0, valueLength: 0, stateBytes: 5e7 },
      { layers: 8, kind: "full" as const, kvHeads: 2, keyLength: 256, valueLength: 256 },
    ],
  );
  const box = fc.array(fc.record({ memoryGiB: fc.integer({ min: 8, max: 192 }), unified: fc.boolean() }), {
    minLength: 1,
    maxLength: 3,
  });
  const entries = fc.array(
    fc.record({
      engine: engines,
      attention,
      weightGiB: fc.double({ min: 0.3, max: 60, noNaN: true }),
      on: fc.nat(2),
      both: fc.boolean(),
      start: fc.constantFrom("auto", "auto", "auto", "manual", "ondemand"),
      memoryGiB: fc.constantFrom(undefined, undefined, undefined, undefined, 4, 12, 30, 80),
    }),
    { minLength: 1, maxLength: 6 },
  );
  const stacks = fc.tuple(box, entries).map(([sizes, all]) => {
    const gpus = sizes.map(({ memoryGiB, unified }, id) => gpu(id, memoryGiB, { unified }));
    const demands = all.map(({ engine, attention, weightGiB, on, both, start, memoryGiB }, index) => {
      const isGguf = engine.engine === "llamacpp" || engine.engine === "ollama";
      const spread = both && isGguf && gpus.length > 1;
      return demand(`m${index}`, engine, {
        devices: spread ? [0, 1] : [on % gpus.length],
        start: start as GpuDemand["start"],
        group: start === "ondemand" ? "swap" : undefined,
        memoryGiB,
        locked: model(
          weightGiB,
          { attention, parameters: (weightGiB * GIB) / 2 },
          isGguf ? "gguf" : "safetensors",
        ),
      });
    });
    return { gpus, demands };
  });
  const check = (property: (stack: { gpus: GpuConfig[]; demands: GpuDemand[] }) => void) =>
    fc.assert(fc.property(stacks, property), { numRuns: 300 });

  const withoutFractions = (engine: EngineMemory): EngineMemory => {
    if (engine.engine === "vllm") return { ...engine, gpuMemoryUtilization: undefined };
    return engine.engine === "sglang" ? { ...engine, memFractionStatic: undefined } : engine;
  };

  /** What is loaded at the same time: of a group the largest. */
  const loaded = (tenants: GpuPlan["devices"][number]["tenants"]) => {
    const alone = tenants.filter(({ group }) => group === undefined).map(({ shareBytes }) => shareBytes);
    const grouped = tenants.filter(({ group }) => group !== undefined).map(({ shareBytes }) => shareBytes);
    return alone.reduce((a, b) => a + b, 0) + Math.max(0, ...grouped);
  };

  test("no device is over-committed, by default or while something runs that was started by hand", () =>
    check(({ gpus, demands }) => {
      const plan = planGpus(gpus, demands);
      for (const one of [...plan.devices, ...plan.manual.flatMap(({ running }) => running)]) {
        expect(loaded(one.tenants)).toBeLessThanOrEqual(one.totalBytes - one.reservedBytes);
        for (const tenant of one.tenants) expect(tenant.shareBytes).toBeGreaterThanOrEqual(tenant.needBytes);
      }
    }));

  test("what vLLM, SGLang and TensorRT-LLM are told stays inside their shares and holds their need", () =>
    check(({ gpus, demands }) => {
      const plan = planGpus(gpus, demands);
      for (const { model: name, devices, knobs, shareBytes } of [...plan.placements, ...plan.manual]) {
        const own = demands.find((one) => one.model === name)!;
        if (devices.length > 1) continue;
        const need = memoryNeed(own, gpus.find(({ id }) => id === devices[0])!);
        const fixed = need.bytes - need.kvBytes;
        const kv = knobs.args["--kv-cache-memory-bytes"];
        if (kv !== undefined) {
          expect(Number(kv)).toBeGreaterThanOrEqual(need.kvBytes);
          expect(fixed + Number(kv)).toBeLessThanOrEqual(shareBytes);
        }
        const tokens = knobs.args["--max-total-tokens"] ?? knobs.config.kv_cache_config?.max_tokens;
        if (tokens !== undefined)
          expect(fixed + need.stateBytes + Number(tokens) * need.tokenBytes).toBeLessThanOrEqual(
            shareBytes + 1,
          );
        for (const fraction of [
          knobs.args["--mem-fraction-static"],
          knobs.args["--free_gpu_memory_fraction"],
        ])
          if (fraction !== undefined) {
            expect(Number(fraction)).toBeGreaterThan(0);
            expect(Number(fraction)).toBeLessThan(1);
          }
      }
    }));

  test("nothing is refused that fits by its own sums", () =>
    check(({ gpus, demands }) => {
      // Without fixed shares, and all resident: the needs alone decide.
      const free = demands.map((one) => ({
        ...one,
        memoryGiB: undefined,
        start: "auto" as const,
        group: undefined,
        engine: withoutFractions(one.engine),
      }));
      const fits = gpus.every((one) => {
        const needs = free
          .filter(({ devices }) => devices.includes(one.id))
          .map((each) => memoryNeed(each, one).bytes);
        const plan = planGpus([one], []).devices[0]!;
        return needs.reduce((a, b) => a + b, 0) <= plan.totalBytes - plan.reservedBytes;
      });
      expect(planGpus(gpus, free).refusals.length === 0).toBe(fits);
    }));

  test("every refusal names its model, its device and what is missing", () =>
    check(({ gpus, demands }) => {
      for (const { demand: own, device: id, missingBytes, problem } of planGpus(gpus, demands).refusals) {
        expect(missingBytes).toBeGreaterThan(0);
        expect(problem.path).toBe(own.path);
        const missing = (Math.ceil((missingBytes / GIB) * 100) / 100).toFixed(2);
        expect(problem.what).toMatch(
          new RegExp(`^${own.model} .* on device ${id}, and .*: ${missing} GiB are missing\\.\n`),
        );
        expect(problem.what).toMatch(/ {2}together\n/);
        expect(problem.fix).toMatch(/\.$/);
      }
    }));

  test("what is advised fits when it is planned again", () =>
    check(({ gpus, demands }) => {
      for (const { demand: own, advice } of planGpus(gpus, demands).refusals) {
        if (!advice.changed) continue;
        const changed = advice.changed;
        const again = planGpus(
          gpus,
          demands.map((one) => (one.model === own.model ? changed : one)),
        );
        const refused = again.refusals.map((refusal) => refusal.demand.model);
        expect(refused).not.toContain(own.model);
      }
    }));

  test("the same stack gives the same plan", () =>
    check(({ gpus, demands }) => expect(planGpus(gpus, demands)).toEqual(planGpus(gpus, demands))));
});
