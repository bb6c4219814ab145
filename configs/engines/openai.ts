import { z } from "zod";
import { KEY_BELONGS, urlProblems } from "../network/url";
import { ANY_MODE, costs, instancesOption, modelBase, modeOption } from "../schema/model";
import { keyRef } from "../schema/shared";
import type { Engine, Protocol } from "./engine";
import { type EngineFeatures, PASSED_ON, RECORDED } from "./features";
import { modelInfo } from "./info";

const baseUrl = z
  .string()
  .optional()
  .describe(
    "Base URL of a server that already runs, up to and with /v1. It must be reachable from a container.",
  );
const apiKey = keyRef.optional().describe("The secret that holds the server's key; none: it wants no key.");

const provider = z.enum(["hosted_vllm", "openai", "ollama_chat", "infinity", "huggingface"]);

/** What may differ between instances, beside the provider. */
const server = {
  baseUrl,
  model: z
    .string()
    .optional()
    .describe("The name that the server knows the model by. Default: the entry's name."),
  apiKey,
};

const shape = {
  engine: z.literal("openai"),
  ...server,
  mode: modeOption(ANY_MODE),
  messages: z
    .enum(["translated", "native"])
    .default("translated")
    .describe(
      "/v1/messages: `native` where the server has that route itself, else LiteLLM makes chat completions of it.",
    ),
  provider: provider
    .default("hosted_vllm")
    .describe(
      "LiteLLM's prefix. `openai` sends /v1/messages to /v1/responses; `ollama_chat`, `infinity` and `huggingface` are called without /v1.",
    ),
  contextLength: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Tokens that one request may have, where that is known. gateway.routing.preCallChecks goes by it.",
    ),
  instances: instancesOption({
    ...server,
    provider: provider.optional().describe("LiteLLM's prefix."),
    ...costs,
  }),
  ...modelBase,
};

const schema = z.strictObject(shape);
type OpenAiModel = z.infer<typeof schema>;

const protocols: Protocol[] = [
  { path: "/v1/chat/completions", how: "native", why: "What makes a server one of this kind." },
  {
    path: "/v1/messages",
    how: "translated",
    why: "Which servers have it is not known here; messages: native says so.",
  },
];

/** Prefixes whose routes LiteLLM adds to the server's root. */
const AT_THE_ROOT = ["ollama_chat", "infinity", "huggingface"];

const features: EngineFeatures = {
  example: "model",
  known: "vendor",
  recorded: RECORDED,
  says: {
    ...PASSED_ON,
    countTokens: { cell: "LiteLLM's estimate; the server's own with `messages`: native", known: "vendor" },
  },
};

export const openai: Engine<OpenAiModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  features,
  check(model, entry) {
    const path = `${entry}.baseUrl`;
    if (model.baseUrl === undefined) return [{ path, what: "It is missing.", fix: "Write a string." }];
    return urlProblems(model.baseUrl, path, {
      kind: AT_THE_ROOT.includes(model.provider) ? "root" : "versioned",
      gateway: true,
      login: KEY_BELONGS,
    });
  },
  route: (model, context) => {
    const base = (model.baseUrl ?? "").replace(/\/$/, "");
    return {
      // `hosted_vllm/` speaks plain chat completions to any server; `openai/` would send /v1/messages to /v1/responses.
      model: `${model.provider}/${model.model ?? context.name}`,
      mode: model.mode,
      apiBase: AT_THE_ROOT.includes(model.provider) ? base.replace(/\/v\d+$/, "") : base,
      apiKey: model.apiKey === "none" ? undefined : model.apiKey,
      supportedEndpoints:
        model.messages === "native" && model.mode === "chat"
          ? ["/v1/chat/completions", "/v1/messages"]
          : undefined,
      info: modelInfo(model, {}, { context: model.contextLength }),
    };
  },
};
