import { type ClientHttp2Session, connect } from "node:http2";
import { pause } from "../../support/wait";
import { faultOf } from "../haproxy/client";
import { MASTER_KEY } from "../haproxy/lab";

/** A client that speaks HTTP/2 over one connection, and opens another one when the server says so, as clients do. */
export class H2Client {
  private session: ClientHttp2Session | undefined;
  /** Connections that it opened. */
  opened = 0;

  constructor(
    private readonly port: number,
    private readonly ca: string,
    private readonly host = "box.example",
  ) {}

  close(): void {
    this.session?.destroy();
  }

  /**
   * Status and text of an answer. A stream that the server refuses has not been processed (RFC 9113, 8.7): it crossed the
   * server's goodbye, and goes out again on the next connection, as Go's and curl's clients do.
   */
  async post(path: string): Promise<{ status: number; text: string }> {
    for (let attempt = 1; ; attempt++)
      try {
        return await this.once(path);
      } catch (error) {
        if (attempt === 3 || !String(error).includes("NGHTTP2_REFUSED_STREAM")) throw error;
        this.session?.close();
      }
  }

  private once(path: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const request = this.present().request({
        ":method": "POST",
        ":path": path,
        ":authority": `${this.host}:${this.port}`,
        authorization: `Bearer ${MASTER_KEY}`,
      });
      let status = 0;
      let text = "";
      request.setEncoding("utf8");
      request.on("response", (headers) => {
        status = Number(headers[":status"]);
      });
      request.on("data", (chunk: string) => {
        text += chunk;
      });
      request.on("error", reject);
      request.on("end", () => resolve({ status, text }));
      request.end("{}");
    });
  }

  /** Short requests, one after the other, until `done` resolves: what went wrong, and how many were answered. */
  async short(done: Promise<unknown>): Promise<{ answered: number; failed: string[] }> {
    const tally = { answered: 0, failed: [] as string[] };
    let over = false;
    void done.finally(() => {
      over = true;
    });
    for (let count = 0; !over; count++) {
      try {
        const { status, text } = await this.post(`/v1/chat/completions?id=${count}`);
        if (status !== 200 || JSON.parse(text).id !== String(count)) tally.failed.push(`${status} ${text}`);
        else tally.answered++;
      } catch (error) {
        tally.failed.push(String(error));
      }
      await pause(20, "a client between two requests");
    }
    return tally;
  }

  /** What is wrong with a stream of numbered events, or nothing. */
  async stream(seconds: number): Promise<string | undefined> {
    try {
      const { status, text } = await this.post(`/v1/chat/completions?stream=${seconds}`);
      return faultOf(status, text, seconds);
    } catch (error) {
      return String(error);
    }
  }

  private present(): ClientHttp2Session {
    if (this.session && !this.session.closed && !this.session.destroyed) return this.session;
    this.opened++;
    const { port, ca, host } = this;
    const session = connect(`https://127.0.0.1:${port}`, { ca, servername: host });
    // It finishes what it has; the next request finds that it is closed.
    session.on("goaway", () => session.close());
    session.on("error", () => {});
    this.session = session;
    return session;
  }
}
