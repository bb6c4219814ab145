import { z } from "zod";
import { secretRef } from "./shared";

/** When LiteLLM asks a guardrail, in its own words. */
const mode = z.enum(["pre_call", "during_call", "post_call", "logging_only"]);

export const guardrailsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
        "A guardrail's name is letters, digits and _ . -, at most 64 characters.",
      ),
    z.strictObject({
      guardrail: z
        .string()
        .describe(
          "One of LiteLLM's kinds, such as litellm_content_filter, or a class of your own: audit.Filter.",
        ),
      mode: z.union([mode, z.array(mode).min(1)]).describe("When it looks at a request."),
      params: z
        .record(z.string(), z.union([secretRef, z.unknown()]))
        .default({})
        .describe(
          "What this kind takes, by LiteLLM's names. Keys by their secrets: api_key: { secret: lakeraKey }.",
        ),
    }),
  )
  .default({})
  .describe("Guardrails of LiteLLM by name. Every request of every client passes them.");

export type GuardrailsConfig = z.infer<typeof guardrailsSchema>;
