import { z } from "zod";
import { modelName } from "./shared";

/** A share of a model's requests, for entries with several instances. */
const share = {
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, "Write lower-case letters, digits and dashes, at most 32.")
    .optional()
    .describe(
      "What its container is told apart by, `<model>-<name>`. Default: its place in the list, from 1, so that without names the ones after it are renamed, and replaced, when one is taken out.",
    ),
  weight: z.number().positive().optional().describe("Share of the requests against the other instances."),
  order: z.int().min(1).optional().describe("The lowest order is tried first; the others when it fails."),
  rpm: z.int().positive().optional().describe("Requests a minute of this instance."),
  tpm: z.int().positive().optional().describe("Tokens a minute of this instance."),
};

/** What every model entry has, whatever its engine. */
export const modelBase = {
  aliases: z.array(modelName).default([]).describe("Other names that clients may use for this model."),
  rpm: z.int().positive().optional().describe("Requests a minute, a routing hint of LiteLLM."),
  tpm: z.int().positive().optional().describe("Tokens a minute, a routing hint of LiteLLM."),
  start: z
    .enum(["auto", "manual"])
    .default("auto")
    .describe(
      "`manual`: somebody starts the server when it is needed (`npm run model start NAME`); it may be down, and `up` neither starts, stops nor asks it.",
    ),
  timeoutSeconds: z
    .int()
    .positive()
    // The edge and the valves end a request after 15 minutes without a byte.
    .max(900)
    .default(600)
    .describe("Seconds after which LiteLLM gives up on one request to this model."),
  price: z
    .strictObject({
      inputPerMillion: z.number().min(0).describe("US dollars for a million input tokens."),
      outputPerMillion: z.number().min(0).default(0).describe("US dollars for a million output tokens."),
    })
    .optional()
    .describe("What a token costs, for spend and budgets. Default: what LiteLLM's price list says."),
  baseModel: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The model of LiteLLM's price list whose price and limits count, where the name says too little.",
    ),
};

/** The `instances` of an entry, each with these settings of its own. */
export function instancesOption<Own extends z.ZodRawShape>(own: Own) {
  return z
    .array(z.strictObject({ ...share, ...own }))
    .min(1)
    .optional()
    .describe("Several servers behind one name, each with settings of its own; the rest is the entry's.");
}

/** What the model is asked for. Clients use other routes for each, and `up` proves each by a request of its kind. */
export type Mode = "chat" | "completion" | "embedding" | "rerank" | "audio_transcription" | "audio_speech";

/** The `mode` of an entry whose engine serves these. The first is the default. */
export function modeOption<const Modes extends readonly [Mode, ...Mode[]]>(modes: Modes) {
  return z
    .enum(modes)
    .default(modes[0] as never)
    .describe("What it is asked for; clients use other routes for each.");
}
