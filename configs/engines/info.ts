import type { LockedModel } from "../models/facts";

interface Priced {
  price?: { inputPerMillion: number; outputPerMillion: number };
  baseModel?: string;
}

/** What LiteLLM says of a model in /model/info: price, price list, abilities. Only what is known for sure. */
export function modelInfo(
  { price, baseModel }: Priced,
  { locked }: { locked?: LockedModel } = {},
  abilities: { vision?: boolean; tools?: boolean; reasoning?: boolean; context?: number } = {},
): Record<string, string | number | boolean> {
  const vision = abilities.vision || locked?.shape.vision;
  return {
    ...(baseModel ? { base_model: baseModel } : {}),
    ...(price
      ? {
          input_cost_per_token: perToken(price.inputPerMillion),
          output_cost_per_token: perToken(price.outputPerMillion),
        }
      : {}),
    ...(abilities.context ? { max_input_tokens: abilities.context } : {}),
    ...(vision ? { supports_vision: true } : {}),
    ...(abilities.tools ? { supports_function_calling: true } : {}),
    ...(abilities.reasoning ? { supports_reasoning: true } : {}),
  };
}

/** Through decimal text: 0.15 / 1e6 would be written as 1.4999999999999999e-7. */
function perToken(perMillion: number): number {
  return Number((perMillion / 1_000_000).toPrecision(12));
}
