import { randomBytes } from "node:crypto";
import { z } from "zod";
import { UserError } from "./process";
import { type SseEvent, sseEvents } from "./sse";

/** A way of asking a model: `/v1/chat/completions`, `/v1/completions`, or Anthropic's `/v1/messages`. */
export type Protocol = "chat" | "completions" | "messages";

export interface SmokeModel {
  /** A name that `/v1/models` must list. */
  name: string;
  /** Which protocols are asked, plain and streamed. Default: all three; `[]` only looks for the name. */
  protocols?: Protocol[];
}

export interface SmokeOptions {
  /** Where clients go, for example `http://127.0.0.1:4000`. */
  endpoint: string;
  /** The key that clients send; none where the edge adds it. It is never printed. */
  key?: string;
  /** Everything that the box declares: `/v1/models` must list these names and no other. */
  models: SmokeModel[];
  /** Where it is https: what its certificate is, and how it is asked. */
  tls?: {
    certificate: () => Promise<string>;
    fetch: (url: string, init: RequestInit) => Promise<Response>;
  };
  /** Gets one line a check, as it happens. */
  log: (line: string) => void;
  /** Milliseconds that one request may take until its answer is complete. Default: 60000. */
  timeoutMs?: number;
}

/**
 * Proves a running box from the outside, as a client sees it: readiness, the list of models, and a completion through
 * each model by each protocol, plain and streamed. A stream counts only when it ended the way its protocol ends.
 *
 * Every check runs, also after one failed.
 *
 * @throws UserError that lists every failed check with the server's own words.
 */
export async function smoke(options: SmokeOptions): Promise<void> {
  const { endpoint, key, models, tls, log, timeoutMs = 60_000 } = options;
  const base = endpoint.replace(/\/+$/, "");
  const width = Math.max(...models.map(({ name }) => name.length), 0);
  const failures: string[] = [];
  let count = 0;

  const check = async (label: string[], run: () => Promise<string>) => {
    count += 1;
    try {
      log(`  ok    ${label.join("  ")}   ${presentable(await run(), key)}`);
    } catch (error) {
      const reason = presentable(reasonOf(error, timeoutMs), key);
      log(`  FAIL  ${label.join("  ")}   ${reason}`);
      failures.push(`${label.map((part) => part.trim()).join(" ")}: ${reason}`);
    }
  };
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const signal = AbortSignal.timeout(timeoutMs);
    // A redirect would carry the key to wherever it points.
    const ask = tls?.fetch ?? fetch;
    const response = await ask(`${base}${path}`, { ...init, redirect: "manual", signal });
    if (response.status === 200) return response;
    throw new Error(`status ${response.status}: ${serverMessage(await response.text())}`);
  };
  const bearer: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};

  if (tls) await check(["certificate"], tls.certificate);
  await check(["/health/readiness"], async () => {
    const { status, db } = parsed(Readiness, await (await send("/health/readiness", {})).text());
    return db ? `${status}, db: ${db}` : status;
  });
  await check(["/v1/models"], async () => {
    const list = parsed(ModelList, await (await send("/v1/models", { headers: bearer })).text());
    return compareNames(
      models.map(({ name }) => name),
      list.data.map(({ id }) => id),
    );
  });

  for (const { name, protocols = ["chat", "completions", "messages"] as const } of models) {
    for (const route of protocols.map((protocol) => ROUTES[protocol])) {
      const ask = (stream: boolean) =>
        send(route.path, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            ...(route.anthropic ? { "anthropic-version": "2023-06-01" } : {}),
            ...(route.anthropic && key ? { "x-api-key": key } : bearer),
          },
          body: JSON.stringify({ model: name, max_tokens: 32, stream, ...route.prompt(question()) }),
        });
      const label = (kind: string) => [name.padEnd(width), route.path.padEnd(20), kind.padEnd(8)];

      await check(label("plain"), async () => {
        const started = performance.now();
        const text = route.text(await (await ask(false)).text());
        if (text.trim() === "") throw new Error("the answer's text is empty");
        return `${Math.round(performance.now() - started)} ms`;
      });
      await check(label("streamed"), async () => {
        const started = performance.now();
        const { body } = await ask(true);
        if (!body) throw new Error("the answer has no body");
        const { chunks, firstAt } = await readStream(route, body);
        return `${chunks} chunk${chunks === 1 ? "" : "s"}, first after ${Math.round(firstAt - started)} ms`;
      });
    }
  }

  if (failures.length > 0) {
    throw new UserError(
      `${failures.length} of ${count} checks failed:\n${failures.map((failure) => `  - ${failure}`).join("\n")}`,
      "Read the logs of the gateway and of these models' backends (`docker ps` names them), then run `npm run smoke` again.",
    );
  }
}

/** A gateway's cache answers a question that it knows: only a new one reaches the model. */
function question(): string {
  return `Say a few words. (${randomBytes(4).toString("hex")})`;
}

function compareNames(declared: string[], listed: string[]): string {
  const missing = declared.filter((name) => !listed.includes(name));
  const extra = listed.filter((name) => !declared.includes(name));
  const faults = [
    ...(missing.length > 0 ? [`missing: ${missing.join(", ")}`] : []),
    ...(extra.length > 0 ? [`listed but not declared: ${extra.join(", ")}`] : []),
  ];
  if (faults.length > 0) throw new Error(faults.join("; "));
  return declared.join(", ");
}

async function readStream(route: Route, body: AsyncIterable<Uint8Array>) {
  const marks = new Set<string>();
  let text = "";
  let chunks = 0;
  let firstAt = 0;
  for await (const event of sseEvents(body)) {
    const error = ErrorBody.safeParse(json(event.data));
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

// A model that thinks first may spend all 32 tokens on that: its thoughts count as text, they prove the path as well.
const said = z.string().nullish();
const stop = z.string().nullish();
const Said = z.object({ content: said, reasoning_content: said });
const thought = (part: z.infer<typeof Said>) => (part.reasoning_content ?? "") + (part.content ?? "");

const Readiness = z.object({ status: z.string(), db: z.string().nullish() });
const ModelList = z.object({ data: z.array(z.object({ id: z.string() })) });
const Chat = z.object({ choices: z.array(z.object({ message: Said, finish_reason: z.string() })).min(1) });
const ChatChunk = z.object({ choices: z.array(z.object({ delta: Said, finish_reason: stop })) });
const Completion = z.object({
  choices: z.array(z.object({ text: z.string(), finish_reason: z.string() })).min(1),
});
const CompletionChunk = z.object({ choices: z.array(z.object({ text: said, finish_reason: stop })) });
const Block = z.object({ text: said, thinking: said });
const Message = z.object({ type: z.literal("message"), content: z.array(Block), stop_reason: z.string() });
const MessageEvent = z.object({ type: z.string(), delta: Block.optional() });
const ErrorBody = z
  .object({
    error: z.union([z.string(), z.object({ message: z.string() }).transform((error) => error.message)]),
  })
  .transform(({ error }) => error);

interface Route {
  path: string;
  anthropic: boolean;
  prompt: (question: string) => Record<string, unknown>;
  /** The text of a complete plain answer. */
  text: (body: string) => string;
  /** What one event of a stream adds: text, or a mark of the protocol. */
  piece: (event: SseEvent) => { text: string; mark?: string };
  /** The marks that a complete stream has, in order. */
  marks: string[];
}

const asMessages = (question: string) => ({ messages: [{ role: "user", content: question }] });
const openAiMarks = ["a finish_reason", "[DONE]"];

const ROUTES: Record<Protocol, Route> = {
  chat: {
    path: "/v1/chat/completions",
    anthropic: false,
    prompt: asMessages,
    text: (body) => thought(parsed(Chat, body).choices[0]!.message),
    piece: ({ data }) => {
      if (data === "[DONE]") return { text: "", mark: "[DONE]" };
      const choice = parsed(ChatChunk, data).choices[0];
      return {
        text: choice ? thought(choice.delta) : "",
        mark: choice?.finish_reason ? "a finish_reason" : undefined,
      };
    },
    marks: openAiMarks,
  },
  completions: {
    path: "/v1/completions",
    anthropic: false,
    prompt: (question) => ({ prompt: question }),
    text: (body) => parsed(Completion, body).choices[0]!.text,
    piece: ({ data }) => {
      if (data === "[DONE]") return { text: "", mark: "[DONE]" };
      const choice = parsed(CompletionChunk, data).choices[0];
      return { text: choice?.text ?? "", mark: choice?.finish_reason ? "a finish_reason" : undefined };
    },
    marks: openAiMarks,
  },
  messages: {
    path: "/v1/messages",
    anthropic: true,
    prompt: asMessages,
    text: (body) =>
      parsed(Message, body)
        .content.map((block) => (block.thinking ?? "") + (block.text ?? ""))
        .join(""),
    piece: ({ data }) => {
      const { type, delta } = parsed(MessageEvent, data);
      const mark = type === "message_start" || type === "message_stop" ? type : undefined;
      return { text: (delta?.thinking ?? "") + (delta?.text ?? ""), mark };
    },
    marks: ["message_start", "message_stop"],
  },
};

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parsed<T>(schema: z.ZodType<T>, text: string): T {
  const value = json(text);
  if (value === undefined) throw new Error(`the answer is not JSON: ${text}`);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`the answer has another shape: ${issues.join("; ")}`);
}

/** The message in a server's error body, or the body itself where it has none. */
function serverMessage(body: string): string {
  const error = ErrorBody.safeParse(json(body));
  return error.success ? error.data : body.trim() || "no message";
}

// By shape and not by class: fetch throws errors of three classes, and under jest they come from another realm.
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

/** One line of at most 300 characters, without the key and without control characters for the terminal. */
function presentable(text: string, key: string | undefined): string {
  const safe = key ? text.replaceAll(key, "[key]") : text;
  return safe.replace(/[\p{Cc}\s]+/gu, " ").slice(0, 300);
}
