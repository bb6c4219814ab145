import { z } from "zod";
import { modelName, secretRef } from "../schema/shared";
import type { ModelMap } from "./modelKeys";

/** A text, or a secret in its place. */
const text = z.union([z.string(), secretRef]);

/** A value of a wrong type ends a gateway at its start, or is an error of every request. */
interface Rule {
  keys: RegExp;
  value: z.ZodType;
  fix: string;
}

const NUMBER = { value: z.number(), fix: "Write a number." };
const COUNT = { value: z.int().positive(), fix: "Write a whole number above 0." };
const SWITCH = { value: z.boolean(), fix: "Write true or false." };
const PRICE = { value: z.number().min(0), fix: "Write US dollars, for example 0.0000003 for a token." };
const NAMES = { value: z.array(z.string().min(1)).min(1), fix: "Write a list of names." };

const RULES: Record<ModelMap, Rule[]> = {
  params: [
    {
      keys: /^(extra_headers|headers|default_headers)$/,
      value: z.record(z.string(), text),
      fix: "Write a map of header fields, each a text or { secret: <its name> }.",
    },
    {
      keys: /^(extra_body|chat_template_kwargs|response_format|logit_bias)$/,
      value: z.record(z.string(), z.unknown()),
      fix: "Write a map.",
    },
    { keys: /^(additional_drop_params|allowed_openai_params|modalities)$/, ...NAMES },
    {
      keys: /^(azure_ad_token|azure_password|client_secret|anthropic_identity_token)$/,
      value: secretRef,
      fix: "Write { secret: <its name> }.",
    },
    { keys: /^organization$/, value: text, fix: "Write a text, or { secret: <its name> }." },
    {
      keys: /^(merge_reasoning_content_in_choices|drop_params|use_chat_completions_api|parallel_tool_calls|logprobs|allow_client_keepalive_override)$/,
      ...SWITCH,
    },
    { keys: /^(max_tokens|max_completion_tokens|n|stream_timeout|keepalive_seconds|itpm|otpm)$/, ...COUNT },
    {
      keys: /^(temperature|top_p|top_k|min_p|typical_p|seed|presence_penalty|frequency_penalty|repetition_penalty)$/,
      ...NUMBER,
    },
  ],
  info: [
    {
      keys: /^access_groups$/,
      value: z.array(modelName).min(1),
      fix: "Write a list of names, which gpubox:access then takes beside models.",
    },
    { keys: /^supports_|^discoverable$/, ...SWITCH },
    { keys: /^max_(input_|output_)?tokens$/, ...COUNT },
    {
      keys: /^search_context_cost_per_query$/,
      value: z.record(z.string(), z.number().min(0)),
      fix: "Write a map.",
    },
    { keys: /_cost(_|$)|cost_per_/, ...PRICE },
  ],
};

/** What would be right in place of a value; undefined where it is, or where nothing is known. */
export function flawOfValue(map: ModelMap, key: string, value: unknown): string | undefined {
  const rule = RULES[map].find(({ keys }) => keys.test(key));
  return rule === undefined || rule.value.safeParse(value).success ? undefined : rule.fix;
}
