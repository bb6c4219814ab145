import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Where to send bytes. */
export interface Wire {
  port: number;
  /** Address of this machine. Default: 127.0.0.1. */
  address?: string;
  /** The port speaks TLS: the client offers `alpn`. */
  tls?: { alpn: "h2" | "http/1.1"; servername: string };
}

/** One parsed answer. */
export interface RawAnswer {
  status: number;
  /** Lower-case names; the last of several wins. */
  headers: Record<string, string>;
  body: string;
}

/** What came back until the server closed the connection. */
export interface Exchange {
  text: string;
  answers: RawAnswer[];
  /** True when the server closed, false when the client gave up. */
  closed: boolean;
  tookMs: number;
}

/** Opens a connection, with TLS where `wire` asks for it. Any later error closes it. */
export function openSocket({ port, address = "127.0.0.1", tls }: Wire): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = tls
      ? // An attacker accepts any certificate.
        connectTls({
          ...{ port, host: address, servername: tls.servername },
          ...{ ALPNProtocols: [tls.alpn], rejectUnauthorized: false },
        })
      : connectPlain(port, address);
    socket.once("error", reject);
    socket.once(tls ? "secureConnect" : "connect", () => {
      socket.on("error", () => socket.destroy());
      resolve(socket);
    });
  });
}

export interface Patience {
  /** Gives up after this many milliseconds. Default: 20 seconds. */
  limitMs?: number;
  /** Gives up when no byte follows another for this many milliseconds. */
  quietMs?: number;
  /** Closes the sending half after the bytes. */
  end?: boolean;
  /** Ends the exchange before the server closes. */
  until?: (text: string) => boolean;
}

/**
 * Sends bytes that no client library would send, and reads until the server closes. The last request among them should ask
 * for that, with `Connection: close`.
 */
export async function exchange(
  wire: Wire,
  bytes: string | (string | Buffer)[],
  patience: Patience = {},
): Promise<Exchange> {
  const start = performance.now();
  const socket = await openSocket(wire);
  return new Promise((resolve) => {
    let text = "";
    let quiet: NodeJS.Timeout | undefined;
    const done = (closed: boolean) => {
      clearTimeout(timer);
      clearTimeout(quiet);
      socket.destroy();
      resolve({ text, answers: answersIn(text), closed, tookMs: performance.now() - start });
    };
    const timer = setTimeout(() => done(false), patience.limitMs ?? 20_000);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      clearTimeout(quiet);
      if (patience.until?.(text)) done(false);
      else if (patience.quietMs !== undefined) quiet = setTimeout(() => done(false), patience.quietMs);
    });
    socket.on("close", () => done(true));
    for (const part of [bytes].flat())
      socket.write(typeof part === "string" ? Buffer.from(part, "latin1") : part);
    if (patience.end) socket.end();
  });
}

/** The first answer, with the body's bytes as they came: chunks keep their sizes. */
export interface UndecodedAnswer {
  status: number;
  head: string;
  body: string;
  /** Everything the server sent. */
  text: string;
}

/**
 * Sends bytes on a connection that the server may keep open, and reads until the first answer has its announced length or
 * the server falls silent.
 */
export async function sendRaw(wire: Wire, pieces: (string | Buffer)[]): Promise<UndecodedAnswer> {
  const until = (text: string) => {
    const { head, body } = split(text);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    return length !== undefined && body.length >= Number(length);
  };
  const { text } = await exchange(wire, pieces, { limitMs: 8000, quietMs: 1500, until });
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
  return { status, ...(text.includes(HEAD_END) ? split(text) : { head: text, body: "" }), text };
}

const HEAD_END = "\r\n\r\n";

function split(text: string): { head: string; body: string } {
  const end = text.indexOf(HEAD_END);
  return end < 0 ? { head: "", body: "" } : { head: text.slice(0, end), body: text.slice(end + 4) };
}

/**
 * The answers in what a server sent. Without a valid first line the whole text is one answer of status 0. A 100 is no answer:
 * a server may send it whenever the body comes later than the head.
 */
export function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== ""; ) {
    const head = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest);
    if (!head) return [...answers, { status: 0, headers: {}, body: rest }];
    const headers = Object.fromEntries(
      head[2]!
        .split("\r\n")
        .filter(Boolean)
        .map((line) => [
          line.slice(0, line.indexOf(":")).toLowerCase(),
          line.slice(line.indexOf(":") + 1).trim(),
        ]),
    );
    const status = Number(head[1]);
    const after = rest.slice(head[0].length);
    const { body, left } = bodyOf(after, status, headers);
    if (status !== 100) answers.push({ status, headers, body });
    rest = left;
  }
  return answers;
}

function bodyOf(text: string, status: number, headers: Record<string, string>) {
  // What follows a 101 is another protocol, and a 1xx is followed by the answer itself.
  if (status < 200) return { body: status === 101 ? text : "", left: status === 101 ? "" : text };
  if (status === 204 || status === 304) return { body: "", left: text };
  if (headers["transfer-encoding"] === "chunked") return chunksOf(text);
  const length = headers["content-length"];
  if (length === undefined) return { body: text, left: "" };
  return { body: text.slice(0, Number(length)), left: text.slice(Number(length)) };
}

function chunksOf(text: string) {
  let body = "";
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n", at);
    const size = end < 0 ? Number.NaN : Number.parseInt(text.slice(at, end), 16);
    if (Number.isNaN(size)) return { body, left: "" };
    body += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
    if (size === 0) return { body, left: text.slice(at) };
  }
}
