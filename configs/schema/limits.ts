import { z } from "zod";

/** Money in a time: spending stops until the time is over. */
export const budget = z.strictObject({
  usd: z.number().positive().describe("US dollars."),
  per: z
    .string()
    .regex(/^[1-9]\d*(s|m|h|d|w|mo)$/, "Write a number and s, m, h, d, w or mo, for example 1d or 1mo.")
    .describe("How long it has to last: 1d, 1w, 1mo."),
});

/** What a token costs. */
export const tokenPrice = z.strictObject({
  inputPerMillion: z.number().min(0).describe("US dollars for a million input tokens."),
  outputPerMillion: z.number().min(0).default(0).describe("US dollars for a million output tokens."),
});

const bodyMiB = z.int().min(1).max(1024).optional();

/** What clients may take, all models together. A model's own limits are in its entry. */
export const limitsSchema = z.strictObject({
  maxParallel: z
    .int()
    .min(1)
    // The edge takes no more clients.
    .max(1000)
    .optional()
    .describe("Requests at the same time through the edge; the next one is answered 429."),
  maxBodyMiB: z
    .strictObject({
      chat: bodyMiB.describe("MiB of a chat, completion, message or response."),
      embeddings: bodyMiB.describe("MiB of a request for embeddings, a ranking or a moderation."),
      audio: bodyMiB.describe("MiB of a request with sound."),
      images: bodyMiB.describe("MiB of a request for an image, with those that it edits."),
    })
    .prefault({})
    .describe(
      "How large the body of a request may be; a larger one is answered 413. Default: what the longest context of the models needs, with 32 MiB for images where a model may see.",
    ),
  enforce: z
    .boolean()
    .default(true)
    .describe(
      "`rpm` and `tpm` of the models are limits, counted in Redis by all gateways. false: they only guide routing.",
    ),
  budget: budget
    .optional()
    .describe("Money for the whole gateway. Needs the database, and a gateway that can use it."),
  providerBudgets: z
    .record(z.string(), budget)
    .default({})
    .describe("Money for each provider, by LiteLLM's prefix: azure, groq, openai."),
});

export type Budget = z.infer<typeof budget>;
export type LimitsConfig = z.infer<typeof limitsSchema>;
