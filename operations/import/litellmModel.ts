import { z } from "zod";
import type { Draft, Entry } from "./draft";
import type { Input } from "./input";
import { defined, serverOf } from "./litellmServer";
import { isPlainSecret } from "./plainSecrets";
import { keyOf, referenceOf, textOf, type Variables } from "./values";

/** A deployment of LiteLLM as an entry of its own. */
export interface DeploymentDraft {
  name: string;
  /** `model_info.id`. */
  id?: string;
  entry: Entry;
  /** For the table of routes. */
  shown: string;
  input: Input;
}

const number = z.union([z.number(), z.string().regex(/^\d+(\.\d+)?(e-?\d+)?$/i)]).transform(Number);
const positive = number.refine((value) => value > 0);
const texts = z.array(z.string());

/** `litellm_params` that a key of the entry holds as they are. */
const LIMITS: Record<string, string> = {
  ...{ rpm: "rpm", tpm: "tpm", max_parallel_requests: "maxParallel" },
  ...{ timeout: "timeoutSeconds", weight: "weight", order: "order" },
};

/** Reads one item of `model_list`. @returns the reason where no entry can be made of it */
export function readDeployment(item: Input, draft: Draft, variables: Variables): DeploymentDraft | string {
  const name = textOf(item.at("model_name"));
  const params = item.at("litellm_params");
  if (!name) return "it has no model_name";
  if (!params) return "it has no litellm_params";
  const to = `gpubox:models.${name}`;
  const mode = textOf(item.at("model_info", "mode"));
  if (mode && !MODES[mode]) return `gpubox opens no route for the mode ${mode}`;
  const server = serverOf(params, name, to, draft, variables);
  if (typeof server === "string") return server;
  item.house(to);
  item.at("model_name")!.carry(to);
  const info = item.at("model_info");
  const id = textOf(info?.at("id"));
  const entry: Entry = {
    ...server.entry,
    ...modeOf(info, to),
    ...sharedOf(item, to),
    ...abilitiesOf(info, server.entry, to),
  };
  Object.assign(entry, mapsOf(item, to, draft, variables));
  return { name, id, entry, shown: server.shown, input: item };
}

/** `params` and `info` of an entry: what of a deployment nobody has carried yet. */
export function mapsOf(item: Input, to: string, draft: Draft, variables: Variables): Entry {
  const maps = [
    ["params", item.at("litellm_params")],
    ["info", item.at("model_info")],
  ] as const;
  return Object.fromEntries(
    maps.flatMap(([map, place]) => {
      const rest = restOf(place, `${to}.${map}`, draft, variables);
      return Object.keys(rest).length > 0 ? [[map, rest]] : [];
    }),
  );
}

/** What a deployment says of limits, prices and times, which entries of every engine have. */
export function sharedOf(item: Input, to: string): Entry {
  const params = item.at("litellm_params");
  const info = item.at("model_info");
  // What gpubox writes itself where nobody else could be asked.
  for (const place of [params?.at("cooldown_time"), info?.at("cooldown_time")])
    if (place?.value === 0) place.carry(to);
  const base = textOf(info?.at("base_model"));
  if (base) info!.at("base_model")!.carry(`${to}.baseModel`);
  return {
    ...(params ? limitsOf(params, to) : {}),
    ...priceOf(info, params, to),
    ...(base ? { baseModel: base } : {}),
  };
}

/** What has no key of gpubox's own stays under LiteLLM's name; parsing takes out what it refuses. */
function restOf(place: Input | undefined, to: string, draft: Draft, variables: Variables): Entry {
  const rest = (place?.children() ?? []).filter((one) => one.untouched && one.name !== "id");
  return Object.fromEntries(
    rest.flatMap((one) => {
      if (one.value === null) return [];
      const value = withSecrets(one, draft, variables);
      one.carry(`${to}.${one.name}`, true);
      return [[one.name, value]];
    }),
  );
}

/** A value whose keys and references are secrets. */
export function withSecrets(input: Input, draft: Draft, variables: Variables): unknown {
  const { value } = input;
  if (typeof value === "object" && value !== null) {
    const inner = input.children().map((one) => withSecrets(one, draft, variables));
    return Array.isArray(value)
      ? inner
      : Object.fromEntries(Object.keys(value).map((key, at) => [key, inner[at]]));
  }
  const secret = referenceOf(input) !== undefined || isPlainSecret(input.name, value);
  return secret ? keyOf(input, draft, variables, input.name) : value;
}

const MODES: Record<string, string> = {
  ...{ chat: "chat", completion: "completion", embedding: "embedding", rerank: "rerank" },
  ...{ audio_transcription: "audio_transcription", audio_speech: "audio_speech", responses: "chat" },
  ...{ image_generation: "image_generation", image_edit: "image_generation", moderation: "moderation" },
};

function modeOf(info: Input | undefined, to: string): Entry {
  const input = info?.at("mode");
  const mode = MODES[textOf(input) ?? ""];
  if (!mode) return {};
  input!.carry(`${to}.mode`);
  return mode === "chat" ? {} : { mode };
}

function limitsOf(params: Input, to: string): Entry {
  const found: Entry = {};
  for (const [theirs, ours] of Object.entries(LIMITS)) {
    const input = params.at(theirs);
    const value = input?.read(positive);
    if (value === undefined) continue;
    input!.carry(`${to}.${ours}`);
    found[ours] = value;
  }
  // What gpubox itself writes beside rpm and tpm, so that LiteLLM makes no limit of its own.
  if (found.maxParallel === 1000) delete found.maxParallel;
  const tags = params.at("tags")?.read(texts);
  if (tags) {
    params.at("tags")!.carry(`${to}.tags`, true);
    found.tags = tags;
  }
  const usd = params.at("max_budget")?.read(positive);
  const per = textOf(params.at("budget_duration"));
  if (usd !== undefined && per !== undefined) {
    params.at("max_budget")!.carry(`${to}.budget.usd`);
    params.at("budget_duration")!.carry(`${to}.budget.per`);
    found.budget = { usd, per };
  }
  return found;
}

/** Prices stand in `model_info`, and in `litellm_params` of older configs. */
function priceOf(info: Input | undefined, params: Input | undefined, to: string): Entry {
  const cost = (key: string) => info?.at(key) ?? params?.at(key);
  const input = cost("input_cost_per_token");
  const output = cost("output_cost_per_token");
  const perMillion = (one: Input | undefined) => {
    const value = one?.read(number);
    return value === undefined ? undefined : Number((value * 1_000_000).toPrecision(12));
  };
  const inputPerMillion = perMillion(input);
  if (inputPerMillion === undefined) return {};
  input!.carry(`${to}.price.inputPerMillion`);
  const outputPerMillion = perMillion(output);
  if (outputPerMillion !== undefined) output!.carry(`${to}.price.outputPerMillion`);
  return { price: defined({ inputPerMillion, outputPerMillion }) };
}

function abilitiesOf(info: Input | undefined, server: Entry, to: string): Entry {
  if (server.engine !== "openai") return {};
  const found: Entry = {};
  const context = info?.at("max_input_tokens")?.read(positive);
  if (context !== undefined) {
    info!.at("max_input_tokens")!.carry(`${to}.contextLength`);
    found.contextLength = context;
  }
  const endpoints = info?.at("supported_endpoints")?.read(texts);
  if (endpoints?.includes("/v1/messages")) {
    info!.at("supported_endpoints")!.carry(`${to}.messages`);
    found.messages = "native";
  }
  return found;
}
