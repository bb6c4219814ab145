/** One request of a {@link Pulse}; times in milliseconds since the epoch. */
export interface Beat {
  route: string;
  sent: number;
  ended: number;
  /** The status, or the system's word for why there is none: `ECONNREFUSED`. */
  said: number | string;
}

/** A client that asks every route of a box once a second, however long the answers take. */
export class Pulse {
  readonly beats: Beat[] = [];
  private readonly timer: NodeJS.Timeout;
  private readonly open = new Set<Promise<void>>();

  /** @param routes path to the body that is posted; `undefined` for a GET */
  constructor(
    private readonly base: string,
    private readonly key: string,
    private readonly routes: Record<string, object | undefined>,
  ) {
    this.timer = setInterval(() => this.beat(), 1000);
  }

  /** Ends the client, and waits for what is under way. */
  async stop(): Promise<Beat[]> {
    clearInterval(this.timer);
    await Promise.all(this.open);
    return this.beats;
  }

  /** Every route has answered 200 to a request that was sent after this time. */
  served(since: number): boolean {
    return Object.keys(this.routes).every((route) => this.first(route, since) !== undefined);
  }

  /** Seconds from a time to the first 200 of the slowest route that ended after it. */
  secondsUntilServed(since: number): number {
    const firsts = Object.keys(this.routes).map(
      (route) => this.first(route, since) ?? Number.POSITIVE_INFINITY,
    );
    return (Math.max(...firsts) - since) / 1000;
  }

  /** How often each route failed, and how: `{ "/v1/models": { ECONNREFUSED: 4 } }`. */
  failures(): Record<string, Record<string, number>> {
    const all: Record<string, Record<string, number>> = {};
    for (const { route, said } of this.beats) {
      all[route] ??= {};
      if (said !== 200) all[route][said] = (all[route][said] ?? 0) + 1;
    }
    return all;
  }

  private first(route: string, since: number): number | undefined {
    const served = this.beats.filter((one) => one.route === route && one.said === 200 && one.ended > since);
    return served.length > 0 ? Math.min(...served.map(({ ended }) => ended)) : undefined;
  }

  private beat(): void {
    for (const [route, body] of Object.entries(this.routes)) {
      const sent = Date.now();
      const asked = this.ask(route, body).then((said) => {
        this.beats.push({ route, sent, ended: Date.now(), said });
        this.open.delete(asked);
      });
      this.open.add(asked);
    }
  }

  private async ask(route: string, body: object | undefined): Promise<number | string> {
    try {
      const answer = await fetch(`${this.base}${route}`, {
        ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
        headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" },
        signal: AbortSignal.timeout(90_000),
      });
      await answer.text();
      return answer.status;
    } catch (error) {
      const { cause, name } = error as Error & { cause?: { code?: string } };
      return cause?.code ?? name;
    }
  }
}
