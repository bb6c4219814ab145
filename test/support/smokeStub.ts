import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { requirePassed, type SmokeCheck, type SmokeOptions, smoke } from "../../operations/smoke/smoke";
import type { UserError } from "../../platform/process";

export const KEY = "sk-0123456789abcdef";
export const FIX = "Run `gpubox doctor`, read `gpubox logs MODEL`, then run `gpubox smoke` again.";

export type Behaviour = (response: ServerResponse) => void;
export interface Seen {
  check: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export const answer =
  (status: number, body: unknown): Behaviour =>
  (response) => {
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  };
export const stream = (...events: unknown[]): Behaviour =>
  answer(
    200,
    events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join(""),
  );
export const choice = (fields: object) => ({ choices: [{ index: 0, ...fields }] });
export const chatChunk = (content: string) => choice({ delta: { content }, finish_reason: null });
export const chatEnd = choice({ delta: {}, finish_reason: "stop" });
export const messageText = (text: string) => ({
  type: "content_block_delta",
  delta: { type: "text_delta", text },
});

export const HEALTHY: Record<string, Behaviour> = {
  "/health/readiness": answer(200, { status: "healthy", db: "connected" }),
  "/v1/models": answer(200, { data: [{ id: "tiny" }] }),
  "/v1/chat/completions plain": answer(
    200,
    choice({ message: { content: "pong there" }, finish_reason: "stop" }),
  ),
  "/v1/chat/completions streamed": stream(chatChunk("pong"), chatChunk(" there"), chatEnd, "[DONE]"),
  "/v1/completions plain": answer(200, choice({ text: "pong there", finish_reason: "stop" })),
  "/v1/completions streamed": stream(
    choice({ text: "pong", finish_reason: null }),
    choice({ text: "", finish_reason: "stop" }),
    "[DONE]",
  ),
  "/v1/messages plain": answer(200, {
    type: "message",
    content: [{ type: "text", text: "pong there" }],
    stop_reason: "end_turn",
  }),
  "/v1/messages streamed": stream(
    { type: "message_start", message: {} },
    { type: "ping" },
    messageText("pong"),
    messageText(" there"),
    { type: "message_delta", delta: { stop_reason: "end_turn" } },
    { type: "message_stop" },
  ),
};

let servers: Server[] = [];
afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers = [];
});

export function failureOf(checks: SmokeCheck[]): string | undefined {
  try {
    requirePassed(checks);
    return undefined;
  } catch (error) {
    return (error as UserError).message;
  }
}

/** Starts a server that is healthy but for `faults`, smokes it, and returns what was logged, thrown and asked. */
export async function smokeStub(faults: Record<string, Behaviour> = {}, options: Partial<SmokeOptions> = {}) {
  const seen: Seen[] = [];
  const stub = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const kind = body === "" ? "" : body.includes('"stream":true') ? " streamed" : " plain";
    const check = `${request.url}${kind}`;
    seen.push({ check, headers: request.headers, body });
    const behaviour = { ...HEALTHY, ...faults }[check] ?? answer(404, "no such path");
    behaviour(response);
  }).listen(0, "127.0.0.1");
  servers.push(stub);
  await new Promise((resolve) => stub.once("listening", resolve));
  const endpoint = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
  const lines: string[] = [];
  const log = (line: string) => lines.push(line.replace(/\d+ ms/, "N ms"));
  // The admin port of a box with a database is this server too.
  const keys = options.keys && { ...options.keys, admin: endpoint };
  const checks = await smoke({ endpoint, key: KEY, models: [{ name: "tiny" }], log, ...options, keys });
  const failure = failureOf(checks);
  return { lines, failure, seen, checks };
}
