import { z } from "zod";
import type { Flags, Hardware, Recipe, RecipeIndex, Variant } from "../../configs/recipes/recipe";

/** Where a checkout of the recipes stands. */
export interface Source {
  commit: string;
  /** Day of the commit, YYYY-MM-DD. */
  date: string;
}

/** Compute capabilities of NVIDIA's devices, by their profile or their generation (developer.nvidia.com/cuda-gpus). */
const CAPABILITIES: Record<string, string> = {
  ada: "8.9",
  hopper: "9.0",
  b200: "10.0",
  gb200: "10.0",
  b300: "10.3",
  gb300: "10.3",
  dgx_station_gb300: "10.3",
  dgx_spark_gb10: "12.1",
  blackwell: "12.0",
};

const VENDORS: Record<string, Hardware["vendor"]> = { NVIDIA: "nvidia", AMD: "amd" };

const taxonomySchema = z.object({
  hardware_profiles: z.record(
    z.string(),
    z.object({
      brand: z.string(),
      generation: z.string(),
      display_name: z.string(),
      gpu_count: z.int(),
      vram_gb: z.number(),
    }),
  ),
});

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
/** A recipe may have a flag and its value as one word, which no server takes. */
const args = z
  .array(scalar)
  .default([])
  .transform((words) => words.flatMap((word) => /^(--[\w-]+)\s+(.+)$/.exec(word)?.slice(1) ?? [word]));
const env = z.record(z.string(), scalar).default({});
const flags = z.object({ extra_args: args, extra_env: env });
const overrides = z.record(z.string(), flags).nullish();

const recipeSchema = z.object({
  meta: z.object({
    title: z.string(),
    date_updated: scalar.pipe(z.string().regex(/^\d{4}-\d\d-\d\d/)),
    tasks: z.array(z.string()),
    hardware: z.record(z.string(), z.unknown()).nullish(),
  }),
  model: z.object({
    model_id: z.string(),
    min_vllm_version: z.string(),
    nightly_required: z.boolean().default(false),
    docker_image: z.unknown().optional(),
    parameter_count: z.string(),
    context_length: z.number().optional(),
    base_args: args,
    base_env: env.nullish(),
  }),
  features: z.record(z.string(), z.object({ args })).nullish(),
  variants: z.record(
    z.string(),
    z.object({
      model_id: z.string().optional(),
      precision: z.string(),
      vram_minimum_gb: z.number(),
      tp: z.unknown().optional(),
      min_vllm_version: z.string().optional(),
      nightly_required: z.boolean().default(false),
      supported_hardware: z.array(z.string()).optional(),
      extra_args: args,
      extra_env: env,
      hardware_overrides: overrides,
    }),
  ),
  hardware_overrides: overrides,
});

type Read = z.infer<typeof recipeSchema>;

/**
 * The facts that gpubox uses. What it leaves out: recipes of images and sound, recipes that need a nightly build or an image of
 * their own, hardware that gpubox cannot declare, and all prose.
 *
 * @param recipes each with its path below `models`, without the ending
 */
export function condensed(
  source: Source,
  taxonomy: unknown,
  recipes: { id: string; recipe: unknown }[],
): RecipeIndex {
  const hardware = hardwareOf(taxonomy);
  return {
    source: { repository: "github.com/vllm-project/recipes", license: "Apache-2.0", ...source },
    hardware,
    recipes: recipes.flatMap(({ id, recipe }) => recipeOf(id, recipeSchema.parse(recipe), hardware)),
  };
}

function hardwareOf(taxonomy: unknown): RecipeIndex["hardware"] {
  const profiles = Object.entries(taxonomySchema.parse(taxonomy).hardware_profiles);
  return Object.fromEntries(
    profiles.flatMap(([key, { brand, generation, display_name, gpu_count, vram_gb }]) => {
      const vendor = VENDORS[brand];
      if (!vendor) return [];
      const computeCapability =
        vendor === "nvidia" ? (CAPABILITIES[key] ?? CAPABILITIES[generation]) : undefined;
      return [
        [
          key,
          {
            ...{ name: display_name, vendor, generation, deviceGB: vram_gb / gpu_count, devices: gpu_count },
            ...(computeCapability ? { computeCapability } : {}),
          },
        ],
      ];
    }),
  );
}

function recipeOf(
  id: string,
  { meta, model, features, variants, ...rest }: Read,
  hardware: object,
): Recipe[] {
  const verified = Object.keys(meta.hardware ?? {}).filter(
    (key) => meta.hardware?.[key] === "verified" && key in hardware,
  );
  const parameters = billions(model.parameter_count);
  const usable = Object.entries(variants).filter(([, { nightly_required }]) => !nightly_required);
  if (meta.tasks.includes("omni") || model.nightly_required || model.docker_image) return [];
  if (verified.length === 0 || parameters === undefined || usable.length === 0) return [];
  const serving = [...model.base_args, ...servingArgs(features)];
  // A plugin is a file that somebody has to bring.
  if (serving.some((word) => word.endsWith("-plugin"))) return [];
  const draft = features?.spec_decoding?.args ?? [];
  return [
    {
      ...{ id, title: meta.title, updated: meta.date_updated.slice(0, 10), minVllm: model.min_vllm_version },
      parameters,
      ...(model.context_length ? { context: model.context_length } : {}),
      flags: flagsOf(serving, model.base_env ?? {}),
      ...(draft.length > 0 ? { draft: flagsOf(draft, {}) } : {}),
      variants: usable.map(([name, variant]) => variantOf(name, variant, model.model_id)),
      ...overridesOf(rest.hardware_overrides, hardware),
      verified,
    },
  ];
}

/** What every user of a chat server wants on: tools and thoughts. Each other feature is a choice. */
function servingArgs(features: Read["features"]): string[] {
  return [features?.tool_calling, features?.reasoning].flatMap((feature) => feature?.args ?? []);
}

function variantOf(name: string, variant: Read["variants"][string], model: string): Variant {
  const { tp, min_vllm_version, supported_hardware } = variant;
  return {
    ...{
      name,
      model: variant.model_id ?? model,
      precision: variant.precision,
      vramGB: variant.vram_minimum_gb,
    },
    ...(typeof tp === "number" ? { tensorParallel: tp } : {}),
    ...(supported_hardware ? { hardware: supported_hardware } : {}),
    ...(min_vllm_version ? { minVllm: min_vllm_version } : {}),
    ...flagsOf(variant.extra_args, variant.extra_env),
    ...overridesOf(variant.hardware_overrides),
  };
}

function overridesOf(
  read: Read["hardware_overrides"],
  hardware?: object,
): { overrides?: Record<string, Flags> } {
  const known = (key: string) => !hardware || !["cpu", "xpu", "npu", "tpu"].includes(key);
  const entries = Object.entries(read ?? {})
    .filter(([key]) => known(key))
    .map(([key, { extra_args, extra_env }]) => [key, flagsOf(extra_args, extra_env)] as const)
    .filter(([, flags]) => Object.keys(flags).length > 0);
  return entries.length > 0 ? { overrides: Object.fromEntries(entries) } : {};
}

function flagsOf(args: string[], env: Record<string, string>): Flags {
  return { ...(args.length > 0 ? { args } : {}), ...(Object.keys(env).length > 0 ? { env } : {}) };
}

/** `27B`, `1.7B`, `450M`, `1T` in billions. */
function billions(count: string): number | undefined {
  const [, number, unit] = /^([\d.]+)([MBT])$/.exec(count) ?? [];
  if (!number) return undefined;
  return Number(number) * (unit === "M" ? 0.001 : unit === "T" ? 1000 : 1);
}
