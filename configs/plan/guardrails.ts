import type { StackConfig } from "../stack/config";
import { secretVariable } from "./secretVariable";

/** The section `guardrails` of LiteLLM's config; nothing where there is none. */
export function guardrailSection({ gateway }: StackConfig): { guardrails?: unknown[] } {
  const guardrails = Object.entries(gateway.guardrails).map(([name, { guardrail, mode, params }]) => ({
    guardrail_name: name,
    litellm_params: {
      guardrail,
      mode,
      // Clients cannot choose one: what they say of guardrails does not pass the guard of bodies.
      default_on: true,
      ...Object.fromEntries(Object.entries(params).map(([key, value]) => [key, rendered(value)])),
    },
  }));
  return guardrails.length > 0 ? { guardrails } : {};
}

function rendered(value: unknown): unknown {
  const { secret } = (value ?? {}) as { secret?: unknown };
  return typeof secret === "string" ? `os.environ/${secretVariable(secret)}` : value;
}
