import { nearest } from "../kit/problems";
import data from "./recipes.json";

/** A machine that recipes were verified on. */
export interface Hardware {
  name: string;
  vendor: "nvidia" | "amd";
  /** Compute capability of an NVIDIA device, as `gpubox:host.gpus[].computeCapability` has it. */
  computeCapability?: string;
  /** Memory of one device in GB, as its maker counts them. */
  deviceGB: number;
  /** Devices of the machine that the recipe was verified on. */
  devices: number;
}

/** Flags and environment of `vllm serve`. */
export interface Flags {
  args?: string[];
  env?: Record<string, string>;
}

/** One checkpoint of a recipe's model. */
export interface Variant extends Flags {
  /** `default`, `fp8`, `nvfp4`, … */
  name: string;
  /** Repository on the hub. */
  model: string;
  precision: string;
  /** GB over all devices: weights, and a fifth more for caches and activations. */
  vramGB: number;
  /** Devices that it was verified with, where the recipe fixes them. */
  tensorParallel?: number;
  /** Hardware that it is for; absent: any. */
  hardware?: string[];
  /** Oldest vLLM that serves it, where it is newer than the recipe's. */
  minVllm?: string;
  /** As {@link Recipe.overrides}, for this checkpoint alone. */
  overrides?: Record<string, Flags>;
}

/** How people serve one model with vLLM. */
export interface Recipe {
  /** The model's repository on the hub. It names the recipe. */
  id: string;
  title: string;
  /** Day of the recipe's last change, YYYY-MM-DD. */
  updated: string;
  /** Oldest vLLM that serves it. */
  minVllm: string;
  /** Billions of parameters. */
  parameters: number;
  /** Longest context in tokens. */
  context?: number;
  flags: Flags;
  /** A head or model that drafts tokens, where there is one. */
  draft?: Flags;
  variants: Variant[];
  /** Flags that a kind of hardware needs: a key of `hardware`, a generation such as `blackwell`, or a vendor. */
  overrides?: Record<string, Flags>;
  /** Keys of `hardware`. */
  verified: string[];
}

/** Facts of github.com/vllm-project/recipes (Apache-2.0). `npm run recipes -- CHECKOUT` writes them anew. */
export interface RecipeIndex {
  source: { repository: string; license: string; commit: string; date: string };
  hardware: Record<string, Hardware & { generation: string }>;
  recipes: Recipe[];
}

export const RECIPES: RecipeIndex = data as RecipeIndex;

/** What a name leads to: a recipe, or what to write instead. */
export type Found = { recipe: Recipe } | { fix: string };

/**
 * Finds a recipe by the model's repository, or by the last part of it where only one has it. Case does not matter.
 *
 * @example findRecipe("qwen3.6-27b") // Qwen/Qwen3.6-27B
 */
export function findRecipe(name: string): Found {
  const wanted = name.toLowerCase();
  const hits = RECIPES.recipes.filter(({ id, variants }) =>
    [id, ...variants.map(({ model }) => model)].some(
      (one) => one.toLowerCase() === wanted || one.toLowerCase().split("/")[1] === wanted,
    ),
  );
  const [recipe] = hits;
  if (recipe && hits.length === 1) return { recipe };
  if (recipe) return { fix: `Write the owner too: ${hits.map(({ id }) => id).join(" or ")}.` };
  const near = nearest(
    wanted.split("/").at(-1) ?? wanted,
    RECIPES.recipes.map(({ id }) => id.split("/")[1] ?? id),
  );
  return {
    fix: `${near ? `Did you mean "${near}"? ` : ""}\`gpubox recommend\` lists those that fit this stack's GPUs.`,
  };
}
