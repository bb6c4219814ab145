import { z } from "zod";
import { modelName } from "./shared";

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
};
