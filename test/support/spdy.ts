import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { constants, createDeflate, createInflate } from "node:zlib";

/**
 * What SPDY/3.1 compresses headers against. Kubernetes forwards ports and runs commands over streams of this protocol, which nobody
 * else uses any more.
 */
const HEADERS =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status";
const WORDS = [
  ...HEADERS.split(" "),
  ...["200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"],
];
const REST =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
const dictionary = Buffer.concat([
  ...WORDS.map((word) => Buffer.concat([uint32(word.length), Buffer.from(word)])),
  Buffer.from(REST),
]);

/** Numbers of control frames. */
const [SYN_STREAM, SYN_REPLY, RST_STREAM, PING] = [1, 2, 3, 6];
/** Flag of a frame after which its stream has no more. */
const LAST = 1;

/** A stream that the other side opened. Reading ends where that side ends it; ending it tells that side. */
export interface SpdyStream {
  headers: Record<string, string>;
  stream: Duplex;
}

/**
 * Accepts an upgrade to SPDY/3.1, as the agent of a node does.
 *
 * @param protocols those of the streams, the preferred first
 * @param opened receives each stream that the client opens
 */
export function acceptSpdy(
  request: IncomingMessage,
  socket: Duplex,
  protocols: string[],
  opened: (stream: SpdyStream) => void,
): void {
  const offered = String(request.headers["x-stream-protocol-version"] ?? "").split(/,\s*/);
  const protocol = protocols.find((one) => offered.includes(one));
  if (request.headers.upgrade !== "SPDY/3.1" || !protocol)
    return void socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  void new Session(socket, opened).read();
}

class Session {
  private readonly streams = new Map<number, Duplex>();
  private readonly inflate = createInflate({ dictionary });
  private readonly deflate = createDeflate({ dictionary, flush: constants.Z_SYNC_FLUSH });

  constructor(
    private readonly socket: Duplex,
    private readonly opened: (stream: SpdyStream) => void,
  ) {}

  async read(): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of this.socket as AsyncIterable<Buffer>) {
        rest = Buffer.concat([rest, chunk]);
        for (let size = sizeOf(rest); rest.length >= size; size = sizeOf(rest)) {
          await this.take(rest.subarray(0, size));
          rest = rest.subarray(size);
        }
      }
    } catch {
      // The client went away.
    }
    for (const stream of this.streams.values()) stream.destroy();
    this.socket.destroy();
  }

  private async take(frame: Buffer): Promise<void> {
    const [flags, payload] = [frame[4]!, frame.subarray(8)];
    if (!(frame[0]! & 0x80)) {
      const stream = this.streams.get(frame.readUInt32BE(0));
      if (payload.length > 0) stream?.push(payload);
      if (flags & LAST) stream?.push(null);
      return;
    }
    const type = frame.readUInt16BE(2);
    if (type === PING) this.socket.write(frame);
    const id = payload.length >= 4 ? payload.readUInt32BE(0) : 0;
    if (type === RST_STREAM) this.streams.get(id)?.destroy();
    if (type !== SYN_STREAM) return;
    const headers = headersIn(await passed(this.inflate, payload.subarray(10)));
    const stream = this.streamOf(id);
    this.streams.set(id, stream);
    if (flags & LAST) stream.push(null);
    this.control(SYN_REPLY, Buffer.concat([uint32(id), await passed(this.deflate, uint32(0))]));
    this.opened({ headers, stream });
  }

  private streamOf(id: number): Duplex {
    const data = (bytes: Buffer, flags: number) => {
      if (!this.socket.writable) return;
      this.socket.write(Buffer.concat([uint32(id), uint32(bytes.length + flags * 2 ** 24), bytes]));
    };
    return new Duplex({
      read: () => {},
      write: (bytes: Buffer, _, done) => {
        data(bytes, 0);
        done();
      },
      final: (done) => {
        data(Buffer.alloc(0), LAST);
        done();
      },
    }).on("error", () => {});
  }

  private control(type: number, payload: Buffer): void {
    this.socket.write(Buffer.concat([uint32(0x80030000 + type), uint32(payload.length), payload]));
  }
}

/** Bytes of the frame that a buffer begins with. */
function sizeOf(bytes: Buffer): number {
  return bytes.length < 8 ? Number.POSITIVE_INFINITY : 8 + (bytes.readUInt32BE(4) & 0xffffff);
}

/** What a piece of zlib's makes of a block, which it gives whole. */
function passed(through: Duplex, block: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    through.once("data", resolve);
    through.write(block);
  });
}

function headersIn(block: Buffer): Record<string, string> {
  let at = 4;
  const text = () => {
    const size = block.readUInt32BE(at);
    at += 4 + size;
    return block.toString("utf8", at - size, at);
  };
  return Object.fromEntries(Array.from({ length: block.readUInt32BE(0) }, () => [text(), text()]));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
