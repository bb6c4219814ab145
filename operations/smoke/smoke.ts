import { randomBytes } from "node:crypto";
import { z } from "zod";
import { PROBE } from "../../configs/network/endpoint";
import { parseJson } from "../../platform/json";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";
import {
  ErrorBody,
  ModelList,
  parsed,
  Readiness,
  SMOKE_ROUTES,
  type SmokeProtocol,
  type SmokeRoute,
  serverMessage,
} from "./routes";
import { sseEvents } from "./sse";
import { tryVirtualKey } from "./virtualKey";

/** What a model is asked by unless its entry says otherwise. */
const CHAT: SmokeProtocol[] = ["chat", "completions", "messages"];

export interface SmokeModel {
  /** A name that `/v1/models` must list. */
  name: string;
  /**
   * Protocols to ask by, plain and, where possible, streamed. Default: the three of chat. `[]` checks only that the
   * name is listed.
   */
  protocols?: SmokeProtocol[];
}

export interface SmokeOptions {
  /** Where clients connect, for example `http://127.0.0.1:4000`. */
  endpoint: string;
  /** The key that clients send; none when the edge adds it. It is never printed. */
  key?: string;
  /** Everything that the box declares: `/v1/models` must list exactly these names. */
  models: SmokeModel[];
  /** How names begin that it may list beside them. Default: none. */
  opens?: string[];
  /** For https: how to check the certificate, and how to send requests. */
  tls?: {
    certificate: () => Promise<string>;
    fetch: (url: string, init: RequestInit) => Promise<Response>;
  };
  /** Where the box keeps keys and spend: the admin port and the master key. Default: it has no database. */
  keys?: { admin: string; masterKey: string };
  /** True: also checks that a wrong key and an admin route are refused. Default: false. */
  gate?: boolean;
  /** Receives one line per check, as it happens. */
  log: (line: string) => void;
  /** Longest time for one complete answer, in milliseconds. Default: 60000. */
  timeoutMs?: number;
}

/** One check and its result. */
export interface SmokeCheck {
  /** `tiny /v1/messages streamed`. */
  check: string;
  ok: boolean;
  /** The finding, or the server's own words when it failed. Never the key. */
  detail: string;
}

/**
 * Proves a running box from the outside, as a client sees it: readiness, the list of models, and an answer of each
 * model by each protocol, plain and streamed. A stream counts only when it ends the way its protocol demands.
 *
 * Every check runs, even after another one failed.
 */
export async function smoke(options: SmokeOptions): Promise<SmokeCheck[]> {
  const { endpoint, key, keys, models, opens = [], tls, log, gate = false, timeoutMs = 60_000 } = options;
  const base = endpoint.replace(/\/+$/, "");
  const width = Math.max(...models.map(({ name }) => name.length), 0);
  const checks: SmokeCheck[] = [];

  const check = async (label: string[], run: () => Promise<string>) => {
    const [ok, said] = await run().then(
      (found) => [true, found] as const,
      (error: unknown) => [false, reasonOf(error, timeoutMs)] as const,
    );
    const detail = presentable(said, key);
    log(`  ${ok ? "ok  " : "FAIL"}  ${label.join("  ")}   ${detail}`);
    checks.push({ check: label.map((part) => part.trim()).join(" "), ok, detail });
  };
  const ask = (path: string, init: RequestInit = {}) =>
    // A redirect would carry the key to its target.
    within(timeoutMs, (signal) =>
      (tls?.fetch ?? fetch)(`${base}${path}`, { ...init, redirect: "manual", signal }),
    );
  const send = async (path: string, init?: RequestInit): Promise<Response> => {
    const response = await ask(path, init);
    if (response.status === 200) return response;
    throw new Error(`status ${response.status}: ${serverMessage(await response.text())}`);
  };
  const refused = async (status: number, path: string, headers: Record<string, string>) => {
    const answer = await ask(path, { headers });
    await answer.body?.cancel();
    if (answer.status !== status) throw new Error(`status ${answer.status} instead of ${status}`);
    return `refused with ${status}`;
  };
  const bearer = headersOf(key);

  if (tls) await check(["certificate"], tls.certificate);
  await check(["/health/readiness"], async () => {
    const { status, db } = parsed(Readiness, await (await send("/health/readiness")).text());
    if (keys && db !== "connected") throw new Error(`${status}, and its database is "${db ?? "not named"}"`);
    return db ? `${status}, db: ${db}` : status;
  });
  await check(["/v1/models"], async () => {
    const list = parsed(ModelList, await (await send("/v1/models", { headers: bearer })).text());
    return compareNames(
      models.map(({ name }) => name),
      list.data.map(({ id }) => id),
      opens,
    );
  });
  if (gate) {
    const wrong = { authorization: `Bearer sk-wrong-${randomBytes(8).toString("hex")}` };
    if (key) await check(["a wrong key"], () => refused(401, `/v1/models/${PROBE}`, wrong));
    await check(["an admin route"], () => refused(404, `/key/${PROBE}`, bearer));
  }

  const question = (name: string, route: SmokeRoute, stream: boolean, by = key) =>
    send(route.path, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(route.anthropic ? { "anthropic-version": "2023-06-01" } : {}),
        ...headersOf(by, route.anthropic),
      },
      body: JSON.stringify({
        model: name,
        ...(route.stream ? { stream } : {}),
        ...route.prompt(newQuestion()),
      }),
    });
  const asked = models.map(({ name, protocols = CHAT }) => ({
    name,
    routes: protocols.map((protocol) => SMOKE_ROUTES[protocol]),
  }));
  const first = asked.find(({ routes }) => routes.length > 0);
  // LiteLLM writes spend every few seconds: the other checks pass meanwhile.
  const trial =
    keys &&
    first &&
    tryVirtualKey({
      ...keys,
      model: first.name,
      timeoutMs,
      ask: async (own) => {
        await (await question(first.name, first.routes[0]!, false, own)).text();
      },
    });
  // Its failure is reported when its turn comes.
  trial?.catch(() => {});

  for (const { name, routes } of asked) {
    for (const route of routes) {
      const label = (kind: string) => [name.padEnd(width), route.path.padEnd(20), kind.padEnd(8)];

      await check(label("plain"), async () => {
        const started = performance.now();
        const text = route.text(await (await question(name, route, false)).text());
        if (text.trim() === "") throw new Error("the answer's text is empty");
        return `${Math.round(performance.now() - started)} ms`;
      });
      const { stream } = route;
      if (!stream) continue;
      await check(label("streamed"), async () => {
        const started = performance.now();
        const { body } = await question(name, route, true);
        if (!body) throw new Error("the answer has no body");
        const { chunks, firstAt } = await readStream(stream, body);
        return `${chunks} chunk${chunks === 1 ? "" : "s"}, first after ${Math.round(firstAt - started)} ms`;
      });
    }
  }
  if (trial) await check(["a virtual key"], () => trial);
  return checks;
}

/** How a client sends its key by OpenAI's protocol, or by Anthropic's; nothing without one. */
function headersOf(key: string | undefined, anthropic = false): Record<string, string> {
  if (!key) return {};
  return anthropic ? { "x-api-key": key } : { authorization: `Bearer ${key}` };
}

/** @throws UserError that lists every failed check */
export function requirePassed(checks: SmokeCheck[]): void {
  const failures = checks.filter(({ ok }) => !ok).map(({ check, detail }) => `  - ${check}: ${detail}`);
  if (failures.length === 0) return;
  throw new UserError(
    `${failures.length} of ${checks.length} checks failed:\n${failures.join("\n")}`,
    "Run `gpubox doctor`, read `gpubox logs MODEL`, then run `gpubox smoke` again.",
  );
}

/** A gateway's cache answers known questions, so only a new one reaches the model. */
function newQuestion(): string {
  return `Say a few words. (${randomBytes(4).toString("hex")})`;
}

function compareNames(declared: string[], listed: string[], opens: string[]): string {
  const missing = declared.filter((name) => !listed.includes(name));
  const extra = listed.filter(
    (name) => !declared.includes(name) && !opens.some((start) => name.startsWith(start)),
  );
  const faults = [
    ...(missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []),
    ...(extra.length > 0 ? [`listed but not declared: ${extra.join(", ")}`] : []),
  ];
  if (faults.length > 0) throw new Error(faults.join("; "));
  return declared.join(", ");
}

async function readStream(route: NonNullable<SmokeRoute["stream"]>, body: AsyncIterable<Uint8Array>) {
  const marks = new Set<string>();
  let text = "";
  let chunks = 0;
  let firstAt = 0;
  for await (const event of sseEvents(body)) {
    const error = ErrorBody.safeParse(parseJson(event.data));
    if (error.success) throw new Error(`an error in the stream: ${error.data}`);
    const piece = route.piece(event);
    if (piece.mark) marks.add(piece.mark);
    if (piece.text === "") continue;
    firstAt ||= performance.now();
    chunks += 1;
    text += piece.text;
  }
  const lacking = route.marks.filter((mark) => !marks.has(mark));
  if (lacking.length > 0) throw new Error(`the stream ended without ${lacking.join(" and without ")}`);
  const order = [...marks];
  if (order.join() !== route.marks.join()) throw new Error(`the stream is out of order: ${order.join(", ")}`);
  if (text.trim() === "") throw new Error("the stream's text is empty");
  return { chunks, firstAt };
}

// By shape, not by class: fetch throws errors of three classes, and under jest they come from another realm.
const Thrown = z.object({
  name: z.string(),
  message: z.string(),
  cause: z.object({ message: z.string(), code: z.string().optional() }).optional().catch(undefined),
});

function reasonOf(error: unknown, timeoutMs: number): string {
  const { name, message, cause } = Thrown.parse(error);
  if (name === "TimeoutError") return `no complete answer within ${timeoutMs / 1000} s`;
  return cause ? `${message}: ${cause.message || cause.code}` : message;
}

/** One line of at most 300 characters, without the key and without control characters. */
function presentable(text: string, key: string | undefined): string {
  const safe = key ? text.replaceAll(key, "[key]") : text;
  return safe.replace(/[\p{Cc}\s]+/gu, " ").slice(0, 300);
}
