import http from "node:http";

export type Protocol = "openai" | "anthropic";

/** One question to the stub model; its answer is known beforehand. */
export interface Question {
  protocol: Protocol;
  model: string;
  streamed: boolean;
  nonce: string;
  chunks: number;
  /** Seconds between two chunks. */
  interval: number;
  /** What the stub does wrong on purpose, see stub.py. */
  fault?: "lose" | "double" | "foreign" | "cut" | "fake";
  /** The whole answer of a model that is not the stub. */
  expected?: string;
}

/** Where questions go. */
export interface Target {
  host: string;
  port: number;
  key: string;
  agent: http.Agent;
  /** Silence after which an answer counts as lost. Default: longer than any wait that the edge or a valve allows by default. */
  silenceMs?: number;
}

/** A place that is asked over connections which stay open. */
export function keptOpen(host: string, port: number, key: string): Target {
  return { host, port, key, agent: new http.Agent({ keepAlive: true }) };
}

/**
 * `failed`: another status than 200, or no answer. `cut`: the answer began and is not whole, however properly it ended.
 * `wrong`: a chunk is lost in the middle, doubled, or another request's.
 */
export type Kind = "ok" | "failed" | "cut" | "wrong";

export interface Verdict {
  kind: Kind;
  /** What was seen, in words. */
  reason: string;
  /** Milliseconds until the first byte of the answer's body, or until the failure. */
  waitMs: number;
  totalMs: number;
}

const SILENCE_MS = 150_000;

/** Asks once, without retry, and judges the answer against the one that the stub must have given. Never rejects. */
export function exchange(target: Target, question: Question): Promise<Verdict> {
  const { host, port, agent, silenceMs = SILENCE_MS } = target;
  const { path, headers, body } = render(target, question);
  const start = performance.now();
  return new Promise((resolve) => {
    let status = 0;
    let text = "";
    let first: number | undefined;
    const finish = (broken?: string) => {
      request.destroy();
      const now = performance.now();
      resolve({
        ...judge(question, status, text, broken),
        waitMs: (first ?? now) - start,
        totalMs: now - start,
      });
    };
    const request = http.request({ host, port, path, method: "POST", headers, agent }, (response) => {
      status = response.statusCode ?? 0;
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        first ??= performance.now();
        text += chunk;
      });
      // After an answer that breaks off, Node says `aborted` by an error here.
      response.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
      response.on("end", () => {
        first ??= performance.now();
        resolve({
          ...judge(question, status, text),
          waitMs: first - start,
          totalMs: performance.now() - start,
        });
      });
    });
    request.setTimeout(silenceMs, () => finish(`silent for ${silenceMs / 1000} s`));
    request.on("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    request.end(body);
  });
}

function render({ key }: Target, question: Question) {
  const { protocol, model, streamed, nonce, chunks, interval, fault } = question;
  const content = `nonce=${nonce} chunks=${chunks} interval=${interval} fault=${fault ?? "none"}`;
  const body = JSON.stringify({
    model,
    stream: streamed,
    max_tokens: 4096,
    messages: [{ role: "user", content }],
  });
  const common = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  if (protocol === "openai")
    return { path: "/v1/chat/completions", headers: { ...common, authorization: `Bearer ${key}` }, body };
  const headers = { ...common, "x-api-key": key, "anthropic-version": "2023-06-01" };
  return { path: "/v1/messages", headers, body };
}

/** What of an answer can be compared: its text, and whether it said itself that it is complete. */
interface Heard {
  text: string;
  ended: boolean;
  /** An error in the middle of a stream whose status was 200. */
  error?: string;
}

function judge(
  question: Question,
  status: number,
  body: string,
  broken?: string,
): Pick<Verdict, "kind" | "reason"> {
  const { nonce, chunks, protocol, streamed } = question;
  if (status !== 200)
    return {
      kind: "failed",
      reason: status === 0 ? (broken ?? "no answer") : `${status} ${body.slice(0, 200)}`,
    };
  const heard = streamed ? heardStream(protocol, body) : heardPlain(protocol, body);
  const expected =
    question.expected ?? Array.from({ length: chunks }, (_, index) => `${nonce}:${index} `).join("");
  // LiteLLM trims what it translates between protocols, the last space of the answer included.
  const text = heard.text.trimEnd();
  const whole = text === expected.trimEnd();
  if (whole && heard.ended && !broken) return { kind: "ok", reason: "" };
  const how = broken ?? heard.error ?? (heard.ended ? "ended as if complete" : "no end mark");
  if (expected.startsWith(text)) return { kind: "cut", reason: `${how} after ${text.length} characters` };
  return { kind: "wrong", reason: `${how}: ${difference(text, expected)}` };
}

function difference(text: string, expected: string): string {
  const at = [...text].findIndex((character, index) => character !== expected[index]);
  const from = Math.max(0, at - 10);
  return `"…${text.slice(from, from + 60)}" instead of "…${expected.slice(from, from + 60)}"`;
}

type Json = Record<string, unknown>;

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return {};
  }
}

function heardPlain(protocol: Protocol, body: string): Heard {
  const answer = parsed(body);
  if (protocol === "anthropic") {
    const parts = (answer.content ?? []) as { text?: string }[];
    return { text: parts.map((part) => part.text ?? "").join(""), ended: answer.stop_reason === "end_turn" };
  }
  const [choice] = (answer.choices ?? []) as { message?: { content?: string }; finish_reason?: string }[];
  return { text: choice?.message?.content ?? "", ended: choice?.finish_reason === "stop" };
}

/** Events that the end cut off do not parse and count for nothing. */
function heardStream(protocol: Protocol, body: string): Heard {
  const heard: Heard = { text: "", ended: false };
  for (const line of body.split("\n")) {
    if (!line.startsWith("data:")) continue;
    const data = line.slice("data:".length).trim();
    if (data === "[DONE]") {
      heard.ended ||= protocol === "openai";
      continue;
    }
    const event = parsed(data);
    if (event.error) heard.error = `error event ${JSON.stringify(event.error).slice(0, 200)}`;
    else if (protocol === "anthropic") {
      heard.ended ||= event.type === "message_stop";
      heard.text += (event.delta as { text?: string } | undefined)?.text ?? "";
    } else {
      const [choice] = (event.choices ?? []) as { delta?: { content?: string | null } }[];
      heard.text += choice?.delta?.content ?? "";
    }
  }
  return heard;
}
