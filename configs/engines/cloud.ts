import { z } from "zod";
import type { Problem } from "../kit/problems";
import { KEY_BELONGS, urlProblems } from "../network/url";
import { costs, instancesOption, modelBase, modeOption } from "../schema/model";
import { keyRef, secretRef } from "../schema/shared";
import type { Engine, Protocol, Route } from "./engine";
import { type EngineFeatures, PASSED_ON } from "./features";
import { modelInfo } from "./info";

const apiKey = keyRef.optional();
const apiBase = z.url().optional();
const apiVersion = z.string().optional();
const aws = z
  .strictObject({
    region: z
      .string()
      .min(1)
      .describe("aws_region_name: the region that serves the model, for example eu-central-1."),
    accessKeyId: secretRef.describe("The secret with the access key's id."),
    secretAccessKey: secretRef.describe("The secret with the access key."),
    sessionToken: secretRef.optional().describe("The secret with a session's token, for keys that are lent."),
  })
  .optional();
const vertex = z
  .strictObject({
    project: z.string().min(1).describe("vertex_project: the project's id."),
    location: z.string().min(1).describe("vertex_location: for example europe-west1 or global."),
    credentials: secretRef.describe("The secret with the service account's JSON, on one line."),
  })
  .optional();

/** What may differ between instances: other providers, accounts and regions. */
const account = {
  model: z
    .string()
    .regex(
      /^[a-z0-9_]+\/.+$/,
      "Write LiteLLM's provider prefix and the provider's name, for example groq/llama-4.",
    )
    .optional()
    .describe("LiteLLM's provider prefix and the provider's name for the model: azure/gpt-5-mini."),
  apiKey: apiKey.describe("The secret that holds the provider's key; none has to be said."),
  apiBase: apiBase.describe("Base URL, for providers that give each customer one (Azure)."),
  apiVersion: apiVersion.describe("API version, for providers that ask for it (Azure)."),
  aws: aws.describe("Amazon's account, for bedrock/ and sagemaker/, in place of apiKey."),
  vertex: vertex.describe("Google's account, for vertex_ai/, in place of apiKey."),
};

const shape = {
  engine: z.literal("cloud"),
  mode: modeOption(["chat", "completion", "embedding", "rerank", "audio_transcription", "audio_speech"]),
  optional: z
    .boolean()
    .default(false)
    .describe("Left out, with a note, while a secret that it names is not set."),
  ...account,
  instances: instancesOption({ ...account, ...costs }),
  ...modelBase,
};

const schema = z.strictObject(shape);
type CloudModel = z.infer<typeof schema>;

const protocols: Protocol[] = [
  {
    path: "/v1/chat/completions",
    how: "native",
    why: "The provider's own API, as LiteLLM knows it by its prefix.",
  },
  {
    path: "/v1/messages",
    how: "translated",
    why: "LiteLLM passes it on to anthropic/ as it is, and translates it for others.",
  },
];

/** Prefixes whose routes LiteLLM puts behind `apiBase`. Of others, it may be the whole address. */
const ROUTES_ADDED = [
  ...[
    "openai",
    "azure",
    "anthropic",
    "groq",
    "openrouter",
    "mistral",
    "deepseek",
    "together_ai",
    "fireworks_ai",
  ],
  ...["xai", "hosted_vllm", "ollama", "ollama_chat", "lm_studio", "litellm_proxy", "gemini"],
];

function check(model: CloudModel, path: string): Problem[] {
  if (model.model === undefined)
    return [{ path: `${path}.model`, what: "It is missing.", fix: "Write a string." }];
  const provider = model.model.slice(0, model.model.indexOf("/"));
  const problems: Problem[] = [];
  if (provider === "vllm")
    problems.push({
      path: `${path}.model`,
      what: "LiteLLM would load vLLM into the gateway itself, which has none.",
      fix: "Write engine: openai and the server's baseUrl.",
    });
  if (model.model.includes("://"))
    problems.push({
      path: `${path}.model`,
      what: "An address inside a model's name is one that LiteLLM sends to, and no preview would show it as such.",
      fix: "Write the address as apiBase, or engine: openai with its baseUrl.",
    });
  if (model.apiBase !== undefined)
    problems.push(
      ...urlProblems(model.apiBase, `${path}.apiBase`, {
        kind: ROUTES_ADDED.includes(provider) ? "root" : "whole",
        gateway: true,
        login: KEY_BELONGS,
      }),
    );
  if (provider.startsWith("azure") && provider !== "azure_ai" && !(model.apiBase && model.apiVersion))
    problems.push({
      path,
      what: "Azure needs the resource's URL and an API version.",
      fix: "Add apiBase: https://<resource>.openai.azure.com and apiVersion.",
    });
  const needed = { bedrock: "aws", sagemaker: "aws", vertex_ai: "vertex", vertex_ai_beta: "vertex" }[
    provider
  ];
  const account = needed === "aws" ? model.aws : needed === "vertex" ? model.vertex : undefined;
  // Bedrock also has keys of its own, of the form of everybody else's.
  if (needed && !account && !model.apiKey)
    problems.push({
      path,
      what: `${provider}/ needs an account of its provider.`,
      fix:
        needed === "aws"
          ? "Add aws: { region, accessKeyId: { secret: … }, secretAccessKey: { secret: … } }."
          : "Add vertex: { project, location, credentials: { secret: … } }.",
    });
  if (!needed && !model.apiKey)
    problems.push({
      path: `${path}.apiKey`,
      what: "It is missing.",
      fix: "Write { secret: <name of a secret> }, or none where the server wants no key.",
    });
  for (const key of ["aws", "vertex"] as const)
    if (model[key] && needed !== key)
      problems.push({
        path: `${path}.${key}`,
        what: `${provider}/ has no use for it.`,
        fix: "Remove it, or correct the prefix of `model`.",
      });
  return problems;
}

function route(model: CloudModel): Route {
  const { aws, vertex } = model;
  return {
    model: model.model ?? "",
    mode: model.mode,
    apiBase: model.apiBase,
    apiVersion: model.apiVersion,
    apiKey: model.apiKey === "none" ? undefined : model.apiKey,
    params: {
      ...(aws ? { aws_region_name: aws.region } : {}),
      ...(vertex ? { vertex_project: vertex.project, vertex_location: vertex.location } : {}),
    },
    secrets: {
      ...(aws ? { aws_access_key_id: aws.accessKeyId, aws_secret_access_key: aws.secretAccessKey } : {}),
      ...(aws?.sessionToken ? { aws_session_token: aws.sessionToken } : {}),
      ...(vertex ? { vertex_credentials: vertex.credentials } : {}),
    },
    info: modelInfo(model),
  };
}

const features: EngineFeatures = {
  example: "groq/llama-4",
  known: "vendor",
  says: PASSED_ON,
};

export const cloud: Engine<CloudModel> = {
  schema,
  keys: Object.keys(shape),
  protocols,
  features,
  check,
  route,
};
