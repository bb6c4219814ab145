import type { Draft, Entry } from "./draft";
import type { Input } from "./input";
import { keyOf, referenceOf, resolvedText, textOf, type Variables, variableSecret } from "./values";

/** LiteLLM's prefixes for servers that speak OpenAI's protocol, with the `provider` that gpubox has for each. */
const SERVERS: Record<string, string> = {
  ...{ hosted_vllm: "hosted_vllm", openai: "openai", ollama_chat: "ollama_chat", infinity: "infinity" },
  ...{ huggingface: "huggingface", ollama: "ollama_chat", custom_openai: "hosted_vllm" },
  ...{ openai_like: "hosted_vllm", lm_studio: "hosted_vllm", llamafile: "hosted_vllm" },
  ...{ litellm_proxy: "hosted_vllm", vllm: "hosted_vllm", docker_model_runner: "hosted_vllm" },
};

/** Prefixes that are servers also without an address: their own default. */
const DEFAULT_ADDRESS: Record<string, string> = {
  ollama: "http://localhost:11434",
  ollama_chat: "http://localhost:11434",
  llamafile: "http://localhost:8080/v1",
};

/** Prefixes whose address is the server's root. */
const AT_THE_ROOT = ["ollama", "ollama_chat", "infinity", "huggingface"];

/** Providers that LiteLLM takes from a name without a prefix. */
const BY_NAME: [name: RegExp, provider: string][] = [
  [/^(gpt-|chatgpt-|o[1-9]|text-embedding-|tts-|whisper-|dall-e)/, "openai"],
  [/^claude-/, "anthropic"],
  [/^gemini-/, "gemini"],
  [/^(command-|embed-|rerank-)/, "cohere"],
];

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])$/;

/** Where a deployment of LiteLLM sends requests, as keys of an entry. */
export interface Server {
  entry: Entry;
  /** For the table of routes. */
  shown: string;
}

/**
 * The keys of an entry that say where requests go, from `litellm_params`.
 *
 * @param to the entry's path in the stack config
 * @returns the reason where it cannot be said
 */
export function serverOf(
  params: Input,
  name: string,
  to: string,
  draft: Draft,
  variables: Variables,
): Server | string {
  const whole = resolvedText(params.at("model"), variables);
  const hidden = referenceOf(params.at("model"));
  if (!whole)
    return hidden
      ? `its model is in the variable ${hidden}, which is not set here: set it and import again`
      : "litellm_params.model names no model";
  const [provider, model] = split(whole, textOf(params.at("custom_llm_provider")));
  if (provider === undefined)
    return "LiteLLM takes the provider from its list of names, and this one says none";
  if (provider === "auto_router")
    return "LiteLLM's auto router asks other models than the one that the client names; gateway.routing.fallbacks says who stands in for whom";
  params.at("custom_llm_provider")?.carry(`${to}.model`);
  const addressed = params.at("api_base") ?? params.at("base_url");
  const given = resolvedText(addressed, variables);
  if (addressed && given === undefined)
    return `its address is in the variable ${referenceOf(addressed) ?? "that it names"}, which is not set here: set it and import again`;
  const address = given?.trim() || DEFAULT_ADDRESS[provider];
  const server = address !== undefined && SERVERS[provider] !== undefined;
  if (!server) return cloudOf({ params, provider, model, address }, to, draft, variables);
  params.at("model")!.carry(`${to}.model`);
  addressed?.carry(`${to}.baseUrl`);
  const prefix = SERVERS[provider]!;
  const url = baseUrl(address, AT_THE_ROOT.includes(provider), `${to}.baseUrl`, draft);
  if (prefix !== provider) draft.remark(to, `LiteLLM's prefix was ${provider}/.`);
  const key = params.at("api_key");
  const apiKey = key ? keyOf(key.carry(`${to}.apiKey`), draft, variables, `${name}-key`) : undefined;
  return {
    entry: {
      engine: "openai",
      baseUrl: url,
      ...(model === name ? {} : { model }),
      ...(prefix === "hosted_vllm" ? {} : { provider: prefix }),
      ...(apiKey === undefined || apiKey === "none" ? {} : { apiKey }),
    },
    shown: `${provider}/${model} at ${shownAddress(address)}`,
  };
}

interface Cloud {
  params: Input;
  provider: string;
  model: string;
  address: string | undefined;
}

/** Variables that LiteLLM reads by itself where a deployment of these providers says no key. */
const USUAL_KEYS: Record<string, string> = {
  together_ai: "TOGETHERAI_API_KEY",
  huggingface: "HUGGINGFACE_API_KEY",
  azure_ai: "AZURE_AI_API_KEY",
};

function cloudOf(
  { params, provider, model, address }: Cloud,
  to: string,
  draft: Draft,
  variables: Variables,
): Server {
  params.at("model")!.carry(`${to}.model`);
  (params.at("api_base") ?? params.at("base_url"))?.carry(`${to}.apiBase`);
  const version = params.at("api_version")?.carry(`${to}.apiVersion`);
  const apiVersion =
    resolvedText(version, variables) ??
    (provider === "azure" ? variables.get("AZURE_API_VERSION") : undefined);
  const apiBase = address ?? (provider === "azure" ? variables.get("AZURE_API_BASE") : undefined);
  const account = accountOf(params, provider, to, draft, variables);
  const key = params.at("api_key")?.carry(`${to}.apiKey`);
  const usual = USUAL_KEYS[provider] ?? `${provider.toUpperCase()}_API_KEY`;
  if (!key && Object.keys(account).length === 0)
    draft.remark(`${to}.apiKey`, `LiteLLM read the variable ${usual} by itself.`);
  return {
    entry: {
      engine: "cloud",
      model: `${provider}/${model}`,
      ...(key ? { apiKey: keyOf(key, draft, variables, `${provider}-key`) } : {}),
      ...(key || Object.keys(account).length > 0 ? {} : { apiKey: variableSecret(usual, draft, variables) }),
      ...(apiBase ? { apiBase } : {}),
      ...(apiVersion ? { apiVersion } : {}),
      ...account,
    },
    shown: `${provider}/${model}${apiBase ? ` at ${shownAddress(apiBase)}` : ""}`,
  };
}

/** Accounts at Amazon and Google, which are no single key. */
function accountOf(params: Input, provider: string, to: string, draft: Draft, variables: Variables): Entry {
  const secretAt = (key: string, path: string) => {
    const input = params.at(key)?.carry(`${to}.${path}`);
    const found = input && keyOf(input, draft, variables, key);
    return found === "none" ? undefined : found;
  };
  const plain = (key: string, path: string) => {
    const value = resolvedText(params.at(key), variables);
    if (value !== undefined) params.at(key)!.carry(`${to}.${path}`);
    return value;
  };
  if (["bedrock", "sagemaker"].includes(provider)) {
    const aws = {
      region: plain("aws_region_name", "aws.region") ?? variables.get("AWS_REGION"),
      accessKeyId: secretAt("aws_access_key_id", "aws.accessKeyId"),
      secretAccessKey: secretAt("aws_secret_access_key", "aws.secretAccessKey"),
      sessionToken: secretAt("aws_session_token", "aws.sessionToken"),
    };
    if (!Object.values(aws).some((value) => value !== undefined)) return {};
    return {
      aws: {
        ...defined(aws),
        accessKeyId: aws.accessKeyId ?? variableSecret("AWS_ACCESS_KEY_ID", draft, variables),
        secretAccessKey: aws.secretAccessKey ?? variableSecret("AWS_SECRET_ACCESS_KEY", draft, variables),
      },
    };
  }
  if (!provider.startsWith("vertex_ai")) return {};
  const vertex = {
    project: plain("vertex_project", "vertex.project"),
    location: plain("vertex_location", "vertex.location"),
    credentials: secretAt("vertex_credentials", "vertex.credentials"),
  };
  if (!Object.values(vertex).some((value) => value !== undefined)) return {};
  return {
    vertex: {
      ...defined(vertex),
      credentials: vertex.credentials ?? variableSecret("GOOGLE_APPLICATION_CREDENTIALS", draft, variables),
    },
  };
}

function split(whole: string, custom: string | undefined): [provider: string | undefined, model: string] {
  if (custom) return [custom, whole.startsWith(`${custom}/`) ? whole.slice(custom.length + 1) : whole];
  const slash = whole.indexOf("/");
  const prefix = whole.slice(0, Math.max(slash, 0));
  if (slash > 0 && /^[a-z0-9_]+$/.test(prefix)) return [prefix, whole.slice(slash + 1)];
  return [BY_NAME.find(([pattern]) => pattern.test(whole))?.[1], whole];
}

/** An address as `baseUrl` takes it: reachable from a container, up to and with /v1. */
function baseUrl(address: string, root: boolean, to: string, draft: Draft): string {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  let text = address.replace(/\/+$/, "");
  if (LOOPBACK.test(url.hostname)) {
    text = text.replace(url.hostname, "host.docker.internal");
    draft.remark(
      to,
      `It was ${url.hostname}, which inside a container is the container. The server has to listen on Docker's bridge too.`,
    );
  } else if (!url.hostname.includes("."))
    draft.remark(
      to,
      `${url.hostname} is a name of a Docker network: name that network in gateway.joinNetworks.upstreams.`,
    );
  if (!/\/v\d+[a-z]*(\/[a-z]+)?$/.test(new URL(text).pathname)) {
    if (!root) draft.remark(to, "The old one ended without /v1.");
    text += "/v1";
  }
  return text;
}

/** An address for people: without credentials and query. */
function shownAddress(address: string): string {
  if (!URL.canParse(address)) return address;
  const { protocol, host, pathname } = new URL(address);
  return `${protocol}//${host}${pathname.replace(/\/$/, "")}`;
}

export function defined<Value>(values: Record<string, Value | undefined>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, Value] => entry[1] !== undefined),
  );
}
