import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { pause } from "../../support/wait";
import { MASTER_KEY } from "./lab";

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  /** Milliseconds until the answer was complete. */
  took: number;
  /** What the stub saw, or the error's body. */
  json: Record<string, unknown> & {
    headers?: Record<string, string>;
    error?: { message: string; type: string; code: number };
  };
}

export interface Ask {
  method?: string;
  /** Sent as `Authorization: Bearer`; the lab's master key by default, no header for `null`. */
  key?: string | null;
  headers?: Record<string, string>;
  body?: string;
  /** Keeps its connection for the next request; by default each request has one of its own. */
  agent?: http.Agent;
  /** Gives up after this many milliseconds. */
  giveUpMs?: number;
  /** Asks by https. */
  tls?: Tls;
}

/** What a client knows of a server with TLS. */
export interface Tls {
  /** The root that it trusts, PEM. Default: none is asked for. */
  ca?: string;
  /** The host that it means. */
  servername: string;
}

/** One request whose path reaches the wire as it is. Rejects when the connection breaks. */
export function ask(port: number, path: string, options: Ask = {}): Promise<Answer> {
  const { method = "GET", key = MASTER_KEY, body, agent = false, giveUpMs, tls } = options;
  const headers = {
    ...(tls && { Host: tls.servername }),
    ...(key !== null && { Authorization: `Bearer ${key}` }),
    ...options.headers,
  };
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const signal = giveUpMs ? AbortSignal.timeout(giveUpMs) : undefined;
    const secured = tls && { ...tls, rejectUnauthorized: tls.ca !== undefined };
    const request = (tls ? https : http).request(
      { host: "127.0.0.1", port, path, method, headers, agent, signal, ...secured },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const json = text.startsWith("{") ? JSON.parse(text) : {};
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            text,
            took: performance.now() - start,
            json,
          });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Sends bytes that no client library would send, and gives the first line of the answer. */
export function askRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
      if (!text.includes("\r\n")) return;
      socket.destroy();
      resolve(text.split("\r\n")[0]!);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

export interface Tally {
  answered: number;
  /** What went wrong, in words. */
  failed: string[];
  /** Longest time of a request, in milliseconds. */
  longest: number;
  /** Names of the gateways that answered. */
  names: Set<string>;
}

/** Clients with connections that stay open, each asking thirty times a second, until `done` resolves. */
export async function shortRequests(
  port: number,
  clients: number,
  done: Promise<unknown>,
  as: (client: number) => Pick<Ask, "key" | "headers" | "tls"> = () => ({}),
): Promise<Tally> {
  const tally: Tally = { answered: 0, failed: [], longest: 0, names: new Set() };
  let over = false;
  void done.finally(() => {
    over = true;
  });
  const client = async (number: number) => {
    const agent = new (as(number).tls ? https : http).Agent({ keepAlive: true, maxSockets: 1 });
    for (let count = 0; !over; count++) {
      const id = `${number}-${count}`;
      const start = performance.now();
      try {
        const options = { method: "POST", body: "{}", agent, ...as(number) };
        const { status, json } = await ask(port, `/v1/chat/completions?id=${id}`, options);
        if (status !== 200 || json.id !== id) tally.failed.push(`${id}: ${status} ${JSON.stringify(json)}`);
        else tally.answered++;
        tally.names.add(String(json.name));
      } catch (error) {
        tally.failed.push(`${id}: ${error}`);
      }
      tally.longest = Math.max(tally.longest, performance.now() - start);
      await pause(30, "a client between two requests");
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return tally;
}

/** A stream of numbered events; says what is wrong with it, or nothing. */
export async function stream(port: number, seconds: number, tls?: Tls): Promise<string | undefined> {
  try {
    const { status, text } = await ask(port, `/v1/chat/completions?stream=${seconds}`, {
      method: "POST",
      body: "{}",
      tls,
    });
    return faultOf(status, text, seconds);
  } catch (error) {
    return String(error);
  }
}

/** What is wrong with a stream's answer, or nothing. */
export function faultOf(status: number, text: string, seconds: number): string | undefined {
  const events = text.split("\n\n").filter(Boolean);
  const numbers = events.slice(0, -1).map((event) => Number(event.split(" ")[2]));
  const whole = numbers.length === seconds * 10 && numbers.every((number, index) => number === index);
  if (status === 200 && whole && events.at(-1) === "data: [DONE]") return undefined;
  return `${status} with ${numbers.length} events, last ${events.at(-1)}`;
}
