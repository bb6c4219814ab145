import { z } from "zod";
import { modelName } from "./shared";

/** What every model entry has, whatever its engine. */
export const modelBase = {
  aliases: z.array(modelName).default([]).describe("Other names that clients may use for this model."),
  rpm: z.int().positive().optional().describe("Requests a minute, a routing hint of LiteLLM."),
  tpm: z.int().positive().optional().describe("Tokens a minute, a routing hint of LiteLLM."),
  timeoutSeconds: z
    .int()
    .positive()
    .default(600)
    .describe("Seconds after which LiteLLM gives up on one request to this model."),
};
