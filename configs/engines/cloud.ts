import { z } from "zod";
import { modelBase } from "../schema/model";
import { keyRef } from "../schema/shared";
import type { Engine } from "./engine";

const shape = {
  engine: z.literal("cloud"),
  model: z
    .string()
    .regex(
      /^[a-z0-9_]+\/.+$/,
      "Write LiteLLM's provider prefix and the provider's name, for example groq/llama-4.",
    )
    .describe("LiteLLM's provider prefix and the provider's name for the model: azure/gpt-5-mini."),
  apiKey: keyRef.describe(
    "The secret that holds the provider's key. none has to be said: a forgotten key fails at each request.",
  ),
  apiBase: z.url().optional().describe("Base URL, for providers that give each customer one (Azure)."),
  apiVersion: z.string().optional().describe("API version, for providers that ask for it (Azure)."),
  ...modelBase,
};

const schema = z.strictObject(shape);
type CloudModel = z.infer<typeof schema>;

export const cloud: Engine<CloudModel> = {
  schema,
  keys: Object.keys(shape),
  check: (model, path) =>
    model.model.startsWith("azure/") && !(model.apiBase && model.apiVersion)
      ? [
          {
            path,
            what: "Azure needs the resource's URL and an API version.",
            fix: "Add apiBase: https://<resource>.openai.azure.com and apiVersion.",
          },
        ]
      : [],
  route: (model) => ({
    model: model.model,
    apiBase: model.apiBase,
    apiVersion: model.apiVersion,
    apiKey: model.apiKey === "none" ? undefined : model.apiKey,
  }),
};
