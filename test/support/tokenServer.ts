import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pause } from "./wait";

/** What a request of the load says. */
export interface Asked {
  text: string;
  body: Record<string, unknown> & { max_tokens: number };
  authorization: string | undefined;
  host: string | undefined;
  /** Requests that were answered when it came, itself among them. */
  atOnce: number;
  /** True once its client had gone before its answer was whole. */
  gone: boolean;
}

export interface TokenServerOptions {
  /** Milliseconds from a request to its first piece, and between two pieces. */
  firstMs?: number;
  gapMs?: number;
  /** Tokens in a piece: a server that speculates sends several. Default: 1. */
  tokensInPiece?: number;
  /** Answers in place of a stream, or undefined. */
  instead?: (asked: Asked, response: ServerResponse) => boolean;
}

/** What this server counts: five tokens for its template, three for two words. */
export function tokensOf(text: string): number {
  return 5 + Math.ceil(text.split(" ").length * 1.5);
}

/** A server of OpenAI's chat API with known times and counts. */
export async function tokenServer({
  firstMs = 0,
  gapMs = 0,
  tokensInPiece = 1,
  instead,
}: TokenServerOptions) {
  const asked: Asked[] = [];
  let running = 0;
  const server = createServer(async (request, response) => {
    running += 1;
    const one = await read(request, running);
    asked.push(one);
    let open = true;
    response.on("close", () => {
      if (open) running -= 1;
      one.gone = open;
      open = false;
    });
    if (instead?.(one, response)) return;
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (event: unknown) => response.write(`data: ${JSON.stringify(event)}\n\n`);
    // As vLLM and llama.cpp do: a role without text is no token.
    send({ choices: [{ delta: { role: "assistant", content: "" } }] });
    const pieces = one.body.max_tokens / tokensInPiece;
    for (let piece = 0; piece < pieces && open; piece++) {
      await pause(piece === 0 ? firstMs : gapMs, "the time of a stream is what its client measures");
      send({ choices: [{ delta: { content: "word ".repeat(tokensInPiece) } }] });
    }
    if (!open) return;
    open = false;
    running -= 1;
    const usage = {
      prompt_tokens: tokensOf(one.text),
      completion_tokens: one.body.max_tokens,
      prompt_tokens_details: { cached_tokens: 4 },
    };
    send({ choices: [{ delta: {}, finish_reason: "length" }] });
    send({ choices: [], usage });
    response.end("data: [DONE]\n\n");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    asked,
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function read(request: IncomingMessage, atOnce: number): Promise<Asked> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const body = JSON.parse(Buffer.concat(parts).toString());
  return {
    text: body.messages[0].content,
    body,
    authorization: request.headers.authorization,
    host: request.headers.host,
    atOnce,
    gone: false,
  };
}
