import { z } from "zod";
import type { Problem } from "../kit/problems";
import { KEY_BELONGS, urlProblems } from "../network/url";
import { ANY_MODE, costs, instancesOption, modelBase, modeOption } from "../schema/model";
import { keyRef, secretRef } from "../schema/shared";
import type { Engine, Protocol, Route } from "./engine";
import { type EngineFeatures, PASSED_ON } from "./features";
import { modelInfo } from "./info";
import { providerProblems } from "./providers";

const apiKey = keyRef.optional();
const apiBase = z.url().optional();
const apiVersion = z.string().optional();
const aws = z
  .strictObject({
    region: z
      .string()
      .min(1)
      .describe("aws_region_name: the region that serves the model, for example eu-central-1."),
    accessKeyId: secretRef.optional().describe("The secret with the access key's id."),
    secretAccessKey: secretRef.optional().describe("The secret with the access key."),
    sessionToken: secretRef.optional().describe("The secret with a session's token, for keys that are lent."),
    roleName: z
      .string()
      .regex(
        /^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/,
        "Write the role's ARN: arn:aws:iam::<account>:role/<name>.",
      )
      .optional()
      .describe("aws_role_name: the role that is assumed with the keys, or with the machine's role."),
    externalId: z.string().min(1).optional().describe("aws_external_id, where the role asks for it."),
  })
  .optional();
const vertex = z
  .strictObject({
    project: z.string().min(1).describe("vertex_project: the project's id."),
    location: z.string().min(1).describe("vertex_location: for example europe-west1 or global."),
    credentials: secretRef
      .optional()
      .describe(
        "The secret with the service account's JSON, on one line. None with apiKey: none, for the machine's own.",
      ),
  })
  .optional();
const azure = z
  .union(
    [
      z.strictObject({
        adToken: secretRef.describe(
          "azure_ad_token: the secret with a token of Entra ID, which lasts an hour or so.",
        ),
      }),
      z.strictObject({
        tenantId: z.string().min(1).describe("tenant_id: the directory's id."),
        clientId: z.string().min(1).describe("client_id: the application's id."),
        clientSecret: secretRef.describe(
          "client_secret: the secret with the application's own; LiteLLM renews its tokens.",
        ),
      }),
    ],
    { error: "Write { tenantId, clientId, clientSecret: { secret: … } }, or { adToken: { secret: … } }." },
  )
  .optional();

/** What may differ between instances: other providers, accounts and regions. */
const account = {
  model: z
    .string()
    .regex(
      /^[a-z0-9_-]+\/.+$/,
      "Write LiteLLM's provider prefix and the provider's name, for example groq/llama-4.",
    )
    .optional()
    .describe("LiteLLM's provider prefix and the provider's name for the model: azure/gpt-5-mini."),
  apiKey: apiKey.describe("The secret that holds the provider's key; none has to be said."),
  apiBase: apiBase.describe("Base URL, for providers that give each customer one (Azure)."),
  apiVersion: apiVersion.describe("API version, for providers that ask for it (Azure)."),
  aws: aws.describe("Amazon's account, for bedrock/ and sagemaker/, in place of apiKey."),
  vertex: vertex.describe("Google's account, for vertex_ai/, in place of apiKey."),
  azure: azure.describe("An account of Entra ID, for azure/, in place of apiKey."),
};

const shape = {
  engine: z.literal("cloud"),
  mode: modeOption(ANY_MODE),
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
  problems.push(
    ...providerProblems({ provider, mode: model.mode }, { provider: `${path}.model`, mode: `${path}.mode` }),
  );
  return [...problems, ...accountProblems(model, provider, path)];
}

/** The account that a prefix needs in place of a key. */
function accountOf(provider: string): "aws" | "vertex" | "azure" | undefined {
  if (["bedrock", "sagemaker"].includes(provider)) return "aws";
  if (["vertex_ai", "vertex_ai_beta"].includes(provider)) return "vertex";
  return ["azure", "azure_text"].includes(provider) ? "azure" : undefined;
}

/** What may stand in an account's place, for the mistake of none. */
const ACCOUNTS = {
  aws: "aws: { region, accessKeyId: { secret: … }, secretAccessKey: { secret: … } }",
  vertex: "vertex: { project, location, credentials: { secret: … } }",
};

function accountProblems(model: CloudModel, provider: string, path: string): Problem[] {
  const kind = accountOf(provider);
  const problems: Problem[] = [];
  for (const key of ["aws", "vertex", "azure"] as const)
    if (model[key] && kind !== key)
      problems.push({
        path: `${path}.${key}`,
        what: `${provider}/ has no use for it.`,
        fix: "Remove it, or correct the prefix of `model`.",
      });
  // Bedrock also has keys of its own, of the form of everybody else's.
  if (model.apiKey || (kind === "azure" && model.azure)) return problems;
  if (kind === undefined || kind === "azure")
    return [
      ...problems,
      {
        path: `${path}.apiKey`,
        what: "It is missing.",
        fix: "Write { secret: <name of a secret> }, or none where the server wants no key.",
      },
    ];
  const given =
    kind === "aws" ? model.aws?.accessKeyId && model.aws.secretAccessKey : model.vertex?.credentials;
  if (given) return problems;
  const own = `Add ${ACCOUNTS[kind]}.`;
  return [
    ...problems,
    model[kind]
      ? {
          path: `${path}.${kind}`,
          what: "It names no credentials.",
          fix: `Add them, or write apiKey: none beside it where the machine's own role pays.`,
        }
      : { path, what: `${provider}/ needs an account of its provider.`, fix: own },
  ];
}

/** True where a word in place of a key would be taken for one. */
function usesAccount({ model = "", azure }: CloudModel): boolean {
  return azure !== undefined || ["aws", "vertex"].includes(accountOf(model.split("/")[0] ?? "") ?? "");
}

function route(model: CloudModel): Route {
  const { aws, vertex, azure } = model;
  return {
    model: model.model ?? "",
    mode: model.mode,
    apiBase: model.apiBase,
    apiVersion: model.apiVersion,
    apiKey: model.apiKey === "none" ? undefined : model.apiKey,
    ...(usesAccount(model) ? { ownAccount: true } : {}),
    params: {
      ...(aws ? { aws_region_name: aws.region } : {}),
      ...(aws?.roleName ? { aws_role_name: aws.roleName, aws_session_name: "gpubox" } : {}),
      ...(aws?.externalId ? { aws_external_id: aws.externalId } : {}),
      ...(vertex ? { vertex_project: vertex.project, vertex_location: vertex.location } : {}),
      ...(azure && "tenantId" in azure ? { tenant_id: azure.tenantId, client_id: azure.clientId } : {}),
    },
    secrets: {
      ...(aws?.accessKeyId ? { aws_access_key_id: aws.accessKeyId } : {}),
      ...(aws?.secretAccessKey ? { aws_secret_access_key: aws.secretAccessKey } : {}),
      ...(aws?.sessionToken ? { aws_session_token: aws.sessionToken } : {}),
      ...(vertex?.credentials ? { vertex_credentials: vertex.credentials } : {}),
      ...(azure && "adToken" in azure ? { azure_ad_token: azure.adToken } : {}),
      ...(azure && "clientSecret" in azure ? { client_secret: azure.clientSecret } : {}),
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
