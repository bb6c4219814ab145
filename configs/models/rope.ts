import { isMap } from "../kit/maps";

/** Tokens that a model takes once its positions are scaled. */

/** Keys under which a config of transformers nests that of its language model. */
export const NESTED = ["text_config", "llm_config", "language_config"];

/** Scalings whose factor says nothing of the length. */
const FIXED = ["default", "mrope", "llama3"];

/**
 * The context of a model whose config.json is overridden: `--hf-overrides` of vLLM, `--json-model-override-args` of SGLang.
 *
 * @param trained tokens that it was trained for
 */
export function overriddenContext(overrides: Record<string, unknown> | undefined, trained: number): number {
  if (!overrides) return trained;
  const said = overrides.max_position_embeddings;
  const base = typeof said === "number" ? said : trained;
  const scaling = overrides.rope_parameters ?? overrides.rope_scaling;
  return Math.max(
    base,
    ...scalings(scaling).map((one) => scaled(one, base)),
    ...NESTED.map((key) => overrides[key])
      .filter(isMap)
      .map((nested) => overriddenContext(nested, base)),
  );
}

/** One, or one for each kind of layer. */
function scalings(value: unknown): Record<string, unknown>[] {
  if (!isMap(value)) return [];
  return "factor" in value ? [value] : Object.values(value).filter(isMap);
}

function scaled(scaling: Record<string, unknown>, base: number): number {
  const { factor, original_max_position_embeddings: original } = scaling;
  const kind = String(scaling.rope_type ?? scaling.type ?? "");
  if (typeof factor !== "number" || FIXED.includes(kind)) return base;
  return Math.floor(factor * (typeof original === "number" ? original : base));
}

/** Settings of llama.cpp for positions. */
export interface RopeSettings {
  ropeScaling?: "none" | "linear" | "yarn";
  ropeScale?: number;
  yarnOrigCtx?: number;
}

/** The same for llama.cpp: it keeps requests to the trained length, which only YaRN raises (`llama_init_from_model`). */
export function scaledContext(
  { ropeScaling, ropeScale = 1, yarnOrigCtx }: RopeSettings,
  trained: number,
): number {
  return ropeScaling === "yarn"
    ? Math.max(trained, Math.floor(ropeScale * (yarnOrigCtx ?? trained)))
    : trained;
}
