import { request } from "node:http";

/** What became of a request. `status` is 0 where its connection broke. */
export interface Ask {
  /** Milliseconds since 1970. */
  at: number;
  status: number;
  seconds: number;
}

/** One request a second, and one long stream, each until {@link end}. */
export class Clients {
  readonly asks: Ask[] = [];
  /** When the stream broke. */
  streamBroke: number | undefined;
  private readonly timer: NodeJS.Timeout;
  private readonly stream: { destroy(): void };

  constructor(
    private readonly endpoint: string,
    private readonly key: string,
    private readonly model: string,
  ) {
    this.timer = setInterval(() => void this.ask(), 1000);
    this.stream = this.open(true, () => {
      this.streamBroke ??= Date.now();
    });
  }

  /** Whole answers of the last three requests that began after `since`, each within five seconds, which a busy machine may take. */
  isServed(since: number): boolean {
    const after = this.asks.filter(({ at }) => at > since).sort((a, b) => a.at - b.at);
    const last = after.slice(-3);
    return last.length === 3 && last.every(({ status, seconds }) => status === 200 && seconds < 5);
  }

  end(): void {
    clearInterval(this.timer);
    this.stream.destroy();
  }

  private ask(): Promise<void> {
    const at = Date.now();
    return new Promise((resolve) => {
      this.open(false, (status) => {
        this.asks.push({ at, status, seconds: (Date.now() - at) / 1000 });
        resolve();
      });
    });
  }

  private open(stream: boolean, over: (status: number) => void): { destroy(): void } {
    const { hostname, port } = new URL(this.endpoint);
    const body = JSON.stringify({
      model: this.model,
      stream,
      messages: [{ role: "user", content: stream ? "forever" : `${Math.random()}` }],
    });
    const headers = { authorization: `Bearer ${this.key}`, "content-type": "application/json" };
    const sent = request(
      { hostname, port, path: "/v1/chat/completions", method: "POST", headers, agent: false },
      (answer) => {
        answer.on("error", () => over(0));
        answer.resume().on("end", () => over(answer.statusCode ?? 0));
      },
    );
    sent.on("error", () => over(0)).end(body);
    return sent;
  }
}
