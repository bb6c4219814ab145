import { connect as connectH2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

/** An answer as it came over the wire. */
export interface RawAnswer {
  status: number;
  head: string;
  body: string;
  /** What came, untouched. */
  text: string;
}

/** Sends bytes that no client library would send, piece by piece, and reads until the server has nothing more to say. */
export function sendRaw(
  port: number,
  pieces: (string | Buffer)[],
  options: { tls?: boolean; quietMs?: number } = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const started = () => {
      for (const piece of pieces) socket.write(piece);
    };
    const socket = options.tls
      ? connectTls(
          { port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] },
          started,
        )
      : connect(port, "127.0.0.1", started);
    let text = "";
    let quiet: NodeJS.Timeout | undefined;
    const done = () => {
      clearTimeout(quiet);
      socket.destroy();
      const end = text.indexOf("\r\n\r\n");
      const head = end < 0 ? text : text.slice(0, end);
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
      resolve({ status, head, body: end < 0 ? "" : text.slice(end + 4), text });
    };
    socket.on("data", (data) => {
      text += data.toString("latin1");
      clearTimeout(quiet);
      // A kept connection is not closed: what is complete by its length is enough.
      const { head, body } = split(text);
      const length = /^content-length: *(\d+)/im.exec(head)?.[1];
      if (length !== undefined && body.length >= Number(length)) done();
      else quiet = setTimeout(done, options.quietMs ?? 1500);
    });
    socket.on("error", () => {});
    socket.on("close", done);
    setTimeout(done, 8000).unref();
  });
}

function split(text: string): { head: string; body: string } {
  const end = text.indexOf("\r\n\r\n");
  return end < 0 ? { head: "", body: "" } : { head: text.slice(0, end), body: text.slice(end + 4) };
}

/** One HTTP/2 request over TLS; `body` undefined leaves it open, as an extended CONNECT does. */
export function sendH2(
  port: number,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
): Promise<{ status: number; text: string; reset: boolean }> {
  return new Promise((resolve, reject) => {
    const session = connectH2(`https://127.0.0.1:${port}`, {
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
    // Whether CONNECT may be extended is known once the server's settings are.
    session.once("remoteSettings", send);
  });
}
