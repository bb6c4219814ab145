import fc from "fast-check";
import type { EngineMemory, GpuDemand } from "../../../configs/capacity/demand";
import { memoryNeed } from "../../../configs/capacity/memory";
import { type GpuPlan, planGpus } from "../../../configs/capacity/placement";
import type { AttentionGroup } from "../../../configs/models/facts";
import type { GpuConfig } from "../../../configs/schema/gpu";
import { demand, gpu, model } from "../../support/demands";
import { runs } from "../../support/runs";

const GIB = 2 ** 30;

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
      start: fc.constantFrom("auto", "auto", "auto", "manual", "ondemand", "ondemand"),
      slot: fc.constantFrom("one", "two"),
      memoryGiB: fc.constantFrom(undefined, undefined, undefined, undefined, 4, 12, 30, 80),
    }),
    { minLength: 1, maxLength: 6 },
  );
  const stacks = fc.tuple(box, entries).map(([sizes, all]) => {
    const gpus = sizes.map(({ memoryGiB, unified }, id) => gpu(id, memoryGiB, { unified }));
    const demands = all.map(({ engine, attention, weightGiB, on, both, start, slot, memoryGiB }, index) => {
      const isGguf = engine.engine === "llamacpp" || engine.engine === "ollama";
      const spread = both && isGguf && gpus.length > 1;
      return demand(`m${index}`, engine, {
        devices: spread ? [0, 1] : [on % gpus.length],
        start: start as GpuDemand["start"],
        group: start === "ondemand" ? slot : undefined,
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
    fc.assert(fc.property(stacks, property), runs(100));

  const withoutFractions = (engine: EngineMemory): EngineMemory => {
    if (engine.engine === "vllm") return { ...engine, gpuMemoryUtilization: undefined };
    return engine.engine === "sglang" ? { ...engine, memFractionStatic: undefined } : engine;
  };

  /** What is loaded at the same time: of a group the largest. */
  const loaded = (tenants: GpuPlan["devices"][number]["tenants"]) => {
    const of = (slot?: string) =>
      tenants.filter(({ group }) => group === slot).map(({ shareBytes }) => shareBytes);
    const alone = of().reduce((a, b) => a + b, 0);
    return alone + Math.max(0, ...of("one")) + Math.max(0, ...of("two"));
  };

  test("no device is over-committed, by default or while something runs that was started by hand", () =>
    check(({ gpus, demands }) => {
      const plan = planGpus(gpus, demands);
      for (const one of [...plan.devices, ...plan.manual.flatMap(({ running }) => running)]) {
        expect(loaded(one.tenants)).toBeLessThanOrEqual(one.totalBytes - one.reservedBytes);
        // What gpu.memoryGiB says is taken as it is, also below the sum.
        const said = new Set(demands.filter(({ memoryGiB }) => memoryGiB).map(({ model }) => model));
        for (const tenant of one.tenants.filter(({ model }) => !said.has(model)))
          expect(tenant.shareBytes).toBeGreaterThanOrEqual(tenant.needBytes);
      }
    }));

  test("the settings of vLLM, SGLang and TensorRT-LLM stay inside their shares and cover their need", () =>
    check(({ gpus, demands }) => {
      const plan = planGpus(gpus, demands);
      for (const { model: name, devices, knobs, shareBytes } of [...plan.placements, ...plan.manual]) {
        const own = demands.find((one) => one.model === name)!;
        if (devices.length > 1) continue;
        const need = memoryNeed(own, gpus.find(({ id }) => id === devices[0])!);
        const fixed = need.bytes - need.kvBytes;
        if (shareBytes < need.bytes) {
          // It says less than the sum: the engine itself finds out what that leaves to the cache.
          expect(own.memoryGiB).toBeDefined();
          expect(knobs.args).not.toHaveProperty("--kv-cache-memory-bytes");
          expect(knobs.args).not.toHaveProperty("--max-total-tokens");
          continue;
        }
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
          knobs.args["--kv_cache_free_gpu_memory_fraction"],
        ])
          if (fraction !== undefined) {
            expect(Number(fraction)).toBeGreaterThan(0);
            expect(Number(fraction)).toBeLessThan(1);
          }
      }
    }));

  test("nothing that fits by its own sums is refused", () =>
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
          new RegExp(`^${own.model} .* on device ${id}, and .*: ${missing} GiB are missing\\.$`),
        );
        expect(problem.details?.at(-1)).toMatch(/ {2}together$/);
        expect(problem.fix).toMatch(/\.$/);
      }
    }));

  test("the advice fits when it is planned again", () =>
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
