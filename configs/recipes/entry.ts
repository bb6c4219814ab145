import { entryOfFlags } from "../engines/fromFlags";
import type { Option } from "../engines/options";
import { OWNED_ENV, options, parser } from "../engines/vllmOptions";
import { type Fit, flagsOf } from "./fit";

/** Flags that the planner or the host decides, whatever a recipe says. */
const PLANNED = ["gpuMemoryUtilization", "tensorParallelSize"];

/** A model entry from a recipe, and what of the recipe it leaves out: gpubox decides on it, or has no place for it. */
export interface RecipeEntry {
  entry: Record<string, unknown>;
  left: string[];
}

/**
 * The entry that serves a recipe's checkpoint on the devices of `fit`.
 *
 * @param draft true: with the recipe's head or model that drafts tokens
 */
export function recipeEntry(fit: Fit, draft: boolean): RecipeEntry {
  const { args, env } = flagsOf(fit, draft);
  const { keys, extraArgs, dropped, unread } = entryOfFlags(args, options, parser);
  const variables = Object.entries(env).filter(([name]) => !OWNED_ENV.includes(name));
  const own = Object.entries(keys).filter(
    ([key, value]) => !PLANNED.includes(key) && value !== defaultOf(key),
  );
  return {
    entry: {
      engine: "vllm",
      model: `hf://${fit.variant.model}`,
      recipe: fit.recipe.id,
      gpu: { devices: fit.devices.map(({ id }) => id) },
      ...Object.fromEntries(own),
      ...(extraArgs.length > 0 ? { extraArgs } : {}),
      ...(variables.length > 0 ? { env: Object.fromEntries(variables) } : {}),
    },
    left: [...dropped, ...unread, ...PLANNED.filter((key) => key in keys)],
  };
}

function defaultOf(key: string): unknown {
  return (options as Record<string, Option>)[key]?.type?.safeParse(undefined).data;
}
