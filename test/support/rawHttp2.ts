import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { openSocket, type Wire } from "./rawHttp";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8, continuation: 9 };
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
/** Status of the static table's entries 8 to 14. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** Header fields in sending order. Nothing checks them. */
export type Fields = [name: string, value: string][];

/** How a stream ended. `status` 0: the server reset it or closed the connection without an answer. */
export interface H2Answer {
  status: number;
  body: string;
}

/** A client of HTTP/2 frames, over TLS or by prior knowledge, that sends what no library would. */
export class RawH2 {
  private next = 1;
  private buffer = Buffer.alloc(0);
  private readonly streams = new Map<number, { answer: H2Answer; done: (answer: H2Answer) => void }>();
  /** The server sent GOAWAY or closed the connection. */
  gone = false;

  private constructor(private readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    socket.on("close", () => {
      this.gone = true;
      for (const { answer, done } of this.streams.values()) done(answer);
    });
  }

  /** @param hello bytes after the preface. Default: empty SETTINGS. */
  static async open(wire: Wire, hello?: Buffer): Promise<RawH2> {
    const client = new RawH2(await openSocket(wire));
    client.socket.write(Buffer.concat([Buffer.from(PREFACE), hello ?? frame(FRAME.settings, 0, 0)]));
    // One large window: answers are small but many.
    client.socket.write(frame(FRAME.window, 0, 0, Buffer.from([0, 0x7f, 0xff, 0])));
    return client;
  }

  /** Sends a request and resolves with its complete answer. `ends` false: the body never comes. */
  request(fields: Fields, body = "", { limitMs = 20_000, ends = true } = {}): Promise<H2Answer> {
    const id = this.next;
    this.next += 2;
    const answer: H2Answer = { status: 0, body: "" };
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(answer), limitMs);
      const done = (whole: H2Answer) => {
        clearTimeout(timer);
        this.streams.delete(id);
        resolve(whole);
      };
      this.streams.set(id, { answer, done });
      if (this.socket.destroyed) return done(answer);
      const flags = END_HEADERS | (body === "" && ends ? END_STREAM : 0);
      this.socket.write(frame(FRAME.headers, flags, id, encoded(fields)));
      if (body !== "") this.socket.write(frame(FRAME.data, END_STREAM, id, Buffer.from(body)));
    });
  }

  /** Begins a request's header fields and never ends them; resolves when the server closes. */
  unfinished(fields: Fields): Promise<void> {
    this.socket.write(frame(FRAME.headers, 0, this.next, encoded(fields)));
    return new Promise((resolve) => this.socket.on("close", () => resolve()));
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    while (this.buffer.length >= 9) {
      const length = this.buffer.readUIntBE(0, 3);
      if (this.buffer.length < 9 + length) return;
      const [type, flags] = [this.buffer[3]!, this.buffer[4]!];
      const id = this.buffer.readUInt32BE(5) & 0x7fff_ffff;
      this.frame(type, flags, id, this.buffer.subarray(9, 9 + length));
      this.buffer = this.buffer.subarray(9 + length);
    }
  }

  private frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === FRAME.settings && !(flags & ACK)) this.socket.write(frame(FRAME.settings, ACK, 0));
    if (type === FRAME.ping && !(flags & ACK)) this.socket.write(frame(FRAME.ping, ACK, 0, payload));
    if (type === FRAME.goaway) this.gone = true;
    const stream = this.streams.get(id);
    if (!stream) return;
    if (type === FRAME.headers && stream.answer.status < 200) stream.answer.status = statusOf(payload);
    if (type === FRAME.data) stream.answer.body += payload.toString();
    if (type === FRAME.reset || (flags & END_STREAM && type <= FRAME.headers)) stream.done(stream.answer);
  }
}

/**
 * One request over TLS through Node's own client, which keeps to frame sizes and windows.
 *
 * @param body undefined leaves the request open, as an extended CONNECT does
 */
export function sendH2(
  port: number,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
): Promise<{ status: number; text: string; reset: boolean }> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${port}`, {
      rejectUnauthorized: false,
      servername: "localhost",
    });
    session.on("error", reject);
    const send = () => {
      const request = session.request({ ":authority": "localhost", ...headers }, { endStream: false });
      let status = 0;
      let text = "";
      let ended = false;
      const done = () => {
        session.destroy();
        resolve({ status, text, reset: !ended });
      };
      request.on("response", (answer: IncomingHttpHeaders) => {
        status = Number(answer[":status"]);
      });
      request.on("data", (data: Buffer) => {
        text += data.toString();
      });
      request.on("end", () => {
        ended = request.rstCode === 0;
        done();
      });
      request.on("error", done);
      request.on("close", done);
      if (body) request.end(body);
    };
    // Only the server's settings tell whether it accepts an extended CONNECT.
    session.once("remoteSettings", send);
  });
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK in its simplest form: literals without indexing. */
function encoded(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([integer(bytes.length, 127), bytes]);
}

function integer(value: number, most: number): Buffer {
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

/** An answer's first field is its status: an entry of the static table, or three digits that HAProxy writes as plain text. */
function statusOf(block: Buffer): number {
  const first = block[0] ?? 0;
  if (first & 0x80) return STATUSES[(first & 0x7f) - 8] ?? 0;
  const digits = /[1-5]\d\d/.exec(block.subarray(0, 6).toString("latin1"));
  return digits ? Number(digits[0]) : 0;
}
