import { z } from "zod";
import { table } from "../../configs/kit/table";
import { parseJson } from "../../platform/json";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";
import { ModelList, parsed, SMOKE_ROUTES, type SmokeProtocol } from "../smoke/routes";

/** A gateway to ask. */
export interface Gateway {
  /** Without /v1. */
  url: string;
  /** Never printed. */
  key: string;
}

/** What one gateway answered, as far as two gateways should agree. */
export interface Answer {
  /** 0: nobody answered. */
  status: number;
  /** The model that the answer names. */
  model?: string;
  /** The answer's keys, `choices[].message.content:string`, without those that a model may leave out. */
  shape: string[];
}

/** One request to both. */
export interface Comparison {
  /** Name of the model, and the path; `/v1/models` for the list. */
  request: string;
  old: string;
  new: string;
  same: boolean;
}

const TIMEOUT_MS = 120_000;

/** By what a model of each mode is asked. */
const BY_MODE: Record<string, SmokeProtocol[]> = {
  chat: ["chat", "messages"],
  completion: ["completions"],
  embedding: ["embeddings"],
  rerank: ["rerank"],
};

const Info = z.object({
  data: z.array(
    z.object({
      model_name: z.string(),
      model_info: z.looseObject({ mode: z.string().nullish() }).optional(),
    }),
  ),
});

/**
 * Sends the same requests to two gateways: their list of models, and a short question to each model that both list.
 *
 * @throws UserError when one of them does not list its models
 */
export async function compareGateways(both: { old: Gateway; new: Gateway }): Promise<Comparison[]> {
  const [before, after] = await Promise.all([namesAt("old", both.old), namesAt("new", both.new)]);
  const missing = before.filter((name) => !after.includes(name));
  const list: Comparison = {
    request: "/v1/models",
    old: `${before.length} models`,
    new: missing.length > 0 ? `without ${missing.join(", ")}` : `${after.length} models`,
    same: missing.length === 0,
  };
  const modes = await modesAt(both.old);
  const compared: Comparison[] = [list];
  for (const name of before.filter((one) => after.includes(one)))
    for (const protocol of BY_MODE[modes.get(name) ?? "chat"] ?? []) {
      const [was, is] = await Promise.all([ask(both.old, name, protocol), ask(both.new, name, protocol)]);
      compared.push(compare(`${name} ${SMOKE_ROUTES[protocol].path}`, was, is));
    }
  return compared;
}

/** Judges two answers: status, model and shape count, the wording does not. */
export function compare(request: string, was: Answer, is: Answer): Comparison {
  const gone = topmost(was.shape.filter((key) => !is.shape.includes(key)));
  const differs = [
    ...(was.status === is.status ? [] : ["status"]),
    ...(was.model === is.model ? [] : ["model"]),
    ...(was.status < 400 && gone.length > 0 ? [`without ${gone.join(", ")}`] : []),
  ];
  return {
    request,
    old: shown(was),
    new: `${shown(is)}${differs.length > 0 ? ` (${differs.join("; ")})` : ""}`,
    same: differs.length === 0 && was.status > 0,
  };
}

function shown({ status, model }: Answer): string {
  if (status === 0) return "no answer";
  return [status, ...(model ? [model] : [])].join(" ");
}

/** The first words of keys, each once. */
function topmost(shape: string[]): string[] {
  return [...new Set(shape.map((key) => key.split(/[.:[]/)[0]!))];
}

/** Comparisons as a table for the terminal. */
export function comparisonTable(compared: Comparison[]): string[] {
  return table(
    ["", "request", "old", "new"],
    compared.map(({ same, ...row }) => [same ? "same" : "DIFFERS", row.request, row.old, row.new]),
    () => false,
  );
}

const Named = z.object({ model: z.string() });

async function ask(gateway: Gateway, name: string, protocol: SmokeProtocol): Promise<Answer> {
  const route = SMOKE_ROUTES[protocol];
  const body = JSON.stringify({ model: name, ...route.prompt("Say a few words.") });
  const response = await send(gateway, route.path, { method: "POST", body }).catch(() => undefined);
  if (!response) return { status: 0, shape: [] };
  const json = parseJson(await response.text());
  return { status: response.status, model: Named.safeParse(json).data?.model, shape: shapeOf(json) };
}

/** The keys of an answer that hold something, with the type of what they hold. A list counts by its first value. */
export function shapeOf(value: unknown, path = ""): string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.length === 0 ? [] : shapeOf(value[0], `${path}[]`);
  if (typeof value !== "object") return OPTIONAL.test(path) ? [] : [`${path}:${typeof value}`];
  return Object.entries(value).flatMap(([key, inner]) => shapeOf(inner, path ? `${path}.${key}` : key));
}

/** What a server or a model may say or leave out from one answer to the next. */
const OPTIONAL =
  /(^|\.)(usage\..*|system_fingerprint|service_tier|reasoning_content|provider_specific_fields.*|timings.*|stop_sequence|created|logprobs.*)$/;

async function namesAt(which: string, gateway: Gateway): Promise<string[]> {
  const response = await send(gateway, "/v1/models", {}).catch(() => undefined);
  if (response?.status === 200)
    return parsed(ModelList, await response.text())
      .data.map(({ id }) => id)
      .sort();
  throw new UserError(
    `The ${which} gateway does not list its models: ${response ? `status ${response.status}` : "nobody answers"}.`,
    response?.status === 401 ? "Check its key." : "Check its URL, without /v1, and whether it runs.",
  );
}

/** What each model is for, where the gateway says it. Admin routes of a box are on another port, so the old one is asked. */
async function modesAt(gateway: Gateway): Promise<Map<string, string>> {
  const response = await send(gateway, "/model/info", {}).catch(() => undefined);
  const info = response?.status === 200 ? Info.safeParse(parseJson(await response.text())).data : undefined;
  return new Map(
    (info?.data ?? []).flatMap(({ model_name, model_info }) =>
      model_info?.mode ? [[model_name, model_info.mode] as const] : [],
    ),
  );
}

function send({ url, key }: Gateway, path: string, init: RequestInit): Promise<Response> {
  return within(TIMEOUT_MS, (signal) =>
    fetch(`${url.replace(/\/+$/, "").replace(/\/v1$/, "")}${path}`, {
      ...init,
      headers: {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        ...(key ? { authorization: `Bearer ${key}` } : {}),
      },
      // A redirect would carry the key to its target.
      redirect: "manual",
      signal,
    }),
  );
}
