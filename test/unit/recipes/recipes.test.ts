import fc from "fast-check";
import known from "../../../configs/engines/flags/vllm.json";
import { GIB } from "../../../configs/kit/sizes";
import { parseStack } from "../../../configs/parse";
import { recipeEntry } from "../../../configs/recipes/entry";
import { type Fit, fits, hardwareOf, recommended } from "../../../configs/recipes/fit";
import { checkRecipes, recipeNotes } from "../../../configs/recipes/notes";
import { findRecipe, RECIPES } from "../../../configs/recipes/recipe";
import type { GpuConfig } from "../../../configs/schema/gpu";
import { rawStack } from "../../support/stacks";

const device = (memoryGiB: number, more: Partial<GpuConfig> = {}): GpuConfig => ({
  ...{ id: 0, memoryGiB, vendor: "nvidia", unified: false },
  ...more,
});
const several = (count: number, gpu: GpuConfig) => Array.from({ length: count }, (_, id) => ({ ...gpu, id }));
const rooms = (gpus: GpuConfig[]) => gpus.map((gpu) => ({ gpu, freeBytes: gpu.memoryGiB * GIB }));

/** Every checkpoint on eight devices of each kind that takes it. */
const everyFit: Fit[] = Object.values(RECIPES.hardware).flatMap(({ deviceGB, vendor, computeCapability }) => {
  const large = rooms(several(8, device(deviceGB, { vendor, computeCapability })));
  return RECIPES.recipes.flatMap((recipe) => fits(recipe, large));
});

test("every checkpoint of every recipe becomes an entry that the checks accept, on each hardware, with and without its draft", () => {
  const gpuGroups = [44];
  const entries = new Map(
    everyFit.flatMap((fit) =>
      [true, false].map((draft) => {
        const { entry } = recipeEntry(fit, draft);
        return [JSON.stringify([entry, fit.devices[0]!.vendor]), { entry, fit }] as const;
      }),
    ),
  );
  expect(entries.size).toBeGreaterThan(150);
  for (const { entry, fit } of entries.values()) {
    const sources = JSON.stringify(entry).match(/hf:\/\/[^"]+/g) ?? [];
    const lock = Object.fromEntries(sources.map((source) => [source, { unresolved: "No hub answers." }]));
    const gpu = { devices: fit.devices.map(({ id }) => id), memoryGiB: fit.devices[0]!.memoryGiB * 0.9 };
    const stack = {
      host: { gpus: fit.devices, gpuGroups },
      models: { m: { ...entry, gpu, memoryMiB: 300_000 } },
    };
    const problems = () => {
      try {
        parseStack({ ...rawStack(stack), lock });
        return "";
      } catch (error) {
        return `${fit.recipe.id} ${fit.variant.name}: ${error}`;
      }
    };
    expect(problems()).toBe("");
  }
});

test("the pinned vLLM is as new as every recipe asks", () => {
  const number = (version: string) => version.split(".").reduce((sum, part) => sum * 1000 + Number(part), 0);
  const newer = RECIPES.recipes.filter(({ minVllm, variants }) =>
    [minVllm, ...variants.flatMap((variant) => variant.minVllm ?? [])].some(
      (version) => number(version) > number(known.version),
    ),
  );
  expect(newer.map(({ id }) => id)).toEqual([]);
});

test("what is recommended fits what is free, on devices that are alike, each device once", () => {
  const gpu = fc.record({
    memoryGiB: fc.double({ min: 4, max: 300, noNaN: true }),
    vendor: fc.constantFrom<GpuConfig["vendor"]>("nvidia", "amd"),
    used: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(gpu, { maxLength: 8 }), (list) => {
      const all = list.map(({ memoryGiB, vendor, used }, id) => ({
        gpu: device(memoryGiB, { id, vendor }),
        freeBytes: memoryGiB * GIB * (1 - used),
      }));
      for (const { devices, needBytes, roomBytes } of recommended(all)) {
        const own = all.filter((room) => devices.includes(room.gpu));
        expect(own).toHaveLength(devices.length);
        expect(new Set(devices.map(({ vendor }) => vendor)).size).toBe(1);
        expect(roomBytes).toBeLessThanOrEqual(own.reduce((sum, room) => sum + room.freeBytes, 0) + 1);
        expect(needBytes).toBeLessThanOrEqual(roomBytes);
      }
    }),
  );
});

test("recipes that were verified on such a device come first, then the largest", () => {
  const list = recommended(rooms([device(31.8, { computeCapability: "12.0" })]));
  expect(
    list.slice(0, 2).map(({ recipe, variant, verified }) => [recipe.id, variant.precision, verified]),
  ).toEqual([
    ["Qwen/Qwen3.6-35B-A3B", "nvfp4", true],
    ["Qwen/Qwen3.6-27B", "fp8", true],
  ]);
  const order = list.map(({ verified, recipe }) => (verified ? 1e6 : 0) + recipe.parameters);
  expect(order).toEqual([...order].sort((a, b) => b - a));
});

test.each([
  ["an RTX 5090 by its memory and capability", device(31.84, { computeCapability: "12.0" }), "rtx_5090"],
  ["an H100 by its memory", device(79.65), "h100"],
  [
    "a DGX Spark by its capability",
    device(119.7, { computeCapability: "12.1", unified: true }),
    "dgx_spark_gb10",
  ],
  ["an MI300X", device(191.98, { vendor: "amd" }), "mi300x"],
  ["nothing like it", device(12), undefined],
])("the hardware of recipes is recognised: %s", (_, gpu, key) => {
  expect(hardwareOf(gpu)).toBe(key);
});

test("a checkpoint in NVFP4 is for Blackwell only", () => {
  const formats = (gpu: GpuConfig) => recommended(rooms([gpu])).map(({ variant }) => variant.precision);
  expect(formats(device(44, { computeCapability: "8.9" }))).not.toContain("nvfp4");
  expect(formats(device(31.8, { computeCapability: "12.0" }))).toContain("nvfp4");
});

test("a recipe is found by its repository, by the end of it, and by a checkpoint; a typo gets the nearest", () => {
  const id = (name: string) => {
    const found = findRecipe(name);
    return "recipe" in found ? found.recipe.id : found.fix;
  };
  expect(id("Qwen/Qwen3.6-27B")).toBe("Qwen/Qwen3.6-27B");
  expect(id("qwen3.6-27b")).toBe("Qwen/Qwen3.6-27B");
  expect(id("nvidia/Qwen3.6-27B-NVFP4")).toBe("Qwen/Qwen3.6-27B");
  expect(id("qwen3.6-27")).toBe(
    'Did you mean "Qwen3.6-27B"? `gpubox recommend` lists those that fit this stack\'s GPUs.',
  );
});

test("a preview says where an entry's recipe was verified, and whether this host's device is such", () => {
  const notes = (memoryGiB: number) =>
    recipeNotes(
      parseStack(
        rawStack({
          host: { gpus: [{ id: 0, memoryGiB }] },
          models: {
            q: {
              engine: "vllm",
              model: "file:///srv/q",
              recipe: "Qwen/Qwen3.6-27B",
              gpu: { devices: [0], memoryGiB: 20 },
            },
            other: { engine: "vllm", model: "file:///srv/o" },
          },
        }),
      ),
    );
  const where = "q follows the recipe Qwen/Qwen3.6-27B of 2026-07-02, verified on";
  const machines = "DGX Spark (GB10), RTX Pro 6000, DGX Station (GB300), RTX 5090.";
  expect(notes(31.8)).toEqual([`${where} ${machines} Its device is like RTX 5090.`]);
  expect(notes(79.6)).toEqual([`${where} ${machines} Its device is like H100: not verified there.`]);
  expect(notes(44)).toEqual([`${where} ${machines} No recipe knows its device.`]);
});

test("a recipe that does not exist is refused with the nearest", () => {
  const entry = { engine: "vllm", model: "file:///srv/q", recipe: "Qwen/Qwen3.6-27" };
  const { models, ...config } = parseStack(rawStack({ models: { q: { ...entry, recipe: undefined } } }));
  expect(checkRecipes({ ...config, models: { q: { ...models.q!, recipe: entry.recipe } as never } })).toEqual(
    [
      {
        path: "gpubox:models.q.recipe",
        what: 'No recipe has the name "Qwen/Qwen3.6-27".',
        fix: 'Did you mean "Qwen/Qwen3.6-27B"?',
      },
    ],
  );
});
