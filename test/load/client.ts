import http from "node:http";
import { pause } from "../support/wait";
import { exchange, type Kind, type Protocol, type Question, type Target, type Verdict } from "./exchange";

export interface LoadOptions {
  /** Base URL of the box; loopback or a test's own network. */
  endpoint: string;
  key: string;
  /** Public name of the stub model. */
  model: string;
  /** Clients that ask short questions in a loop, half of them on each protocol. Default 8. */
  shorts?: number;
  /** Clients that hold a stream each, half of them on each protocol. Default 16. */
  streams?: number;
  /** Seconds of a stream, at least. Default 30. */
  streamSeconds?: number;
  /** Milliseconds that a client of short questions rests between two. Default 80. */
  pauseMs?: number;
  /** Seconds after which the load ends by itself. Default 900. */
  maxSeconds?: number;
  /** The answer of a model that is not the stub. */
  expected?: string;
  /** Milliseconds of silence after which an answer counts as lost, for valves that hold a request longer than by default. */
  silenceMs?: number;
}

export interface Tally {
  /** Short requests. */
  requests: number;
  streams: number;
  failed: number;
  cut: number;
  wrong: number;
  /** Lost among those that were in flight when {@link Load.excuseInFlight} was called; not counted in the others. */
  excused: number;
  /** Seconds until the first byte, the longest of all requests and streams. */
  longestWait: number;
  /** Milliseconds of a short request. */
  p50: number;
  p99: number;
  /** Each kind of loss with how often it was seen, and when it was first seen. */
  reasons: string[];
}

/** Seconds between two chunks of a stream: the proxy spends CPU on each, and a box under test has little. */
const CHUNK_SECONDS = 0.25;
/** Short questions in all: at 20 ms each, more than an hour of one client. */
const MAX_QUESTIONS = 200_000;

/**
 * Clients that use a box without pause while something happens to it. They keep their connections alive and try nothing
 * twice, so that whatever a client of the box would see is counted.
 */
export class Load {
  private readonly target: Target;
  private readonly started = performance.now();
  private readonly settings: Required<Omit<LoadOptions, "expected" | "silenceMs">> &
    Pick<LoadOptions, "expected">;
  private readonly inFlight = new Set<{ excused: boolean }>();
  private readonly latencies: number[] = [];
  private readonly reasons = new Map<string, { count: number; first: number }>();
  private readonly counts: Record<Kind, number> = { ok: 0, failed: 0, cut: 0, wrong: 0 };
  private streams = 0;
  private excused = 0;
  private longestMs = 0;
  private asked = 0;
  private stopping = false;
  private clients: Promise<void>[] = [];

  constructor(options: LoadOptions) {
    const { hostname, port } = new URL(options.endpoint);
    if (!/^(127\.0\.0\.1$|10\.231\.)/.test(hostname))
      throw new Error(`load goes to this machine only, not to ${hostname}`);
    this.settings = { shorts: 8, streams: 16, streamSeconds: 30, pauseMs: 80, maxSeconds: 900, ...options };
    const agent = new http.Agent({ keepAlive: true });
    this.target = {
      host: hostname,
      port: Number(port),
      key: options.key,
      agent,
      silenceMs: options.silenceMs,
    };
  }

  /** Starts every client and waits until each stream had the time to begin. */
  async start(): Promise<this> {
    const { shorts, streams } = this.settings;
    for (let index = 0; index < shorts; index++) this.clients.push(this.askShort(protocolOf(index), index));
    for (let index = 0; index < streams; index++)
      this.clients.push(this.holdStream(protocolOf(index), index));
    await pause(3000, "each stream has begun, and some have ended");
    return this;
  }

  /** From here on, what is in flight now may be lost: its process is about to be killed. Returns how many that are. */
  excuseInFlight(): number {
    for (const flight of this.inFlight) flight.excused = true;
    return this.inFlight.size;
  }

  /** Lets every client finish what it has, and counts. */
  async stop(): Promise<Tally> {
    this.stopping = true;
    await Promise.all(this.clients);
    this.target.agent.destroy();
    const sorted = this.latencies.sort((a, b) => a - b);
    const quantile = (part: number) => Math.round(sorted[Math.floor(sorted.length * part)] ?? 0);
    return {
      requests: this.latencies.length,
      streams: this.streams,
      failed: this.counts.failed,
      cut: this.counts.cut,
      wrong: this.counts.wrong,
      excused: this.excused,
      longestWait: Math.round(this.longestMs / 100) / 10,
      p50: quantile(0.5),
      p99: quantile(0.99),
      reasons: [...this.reasons].map(
        ([reason, { count, first }]) => `${count} × ${reason} (first at ${first.toFixed(1)} s)`,
      ),
    };
  }

  private get over(): boolean {
    const seconds = (performance.now() - this.started) / 1000;
    return this.stopping || seconds > this.settings.maxSeconds || this.asked > MAX_QUESTIONS;
  }

  private async askShort(protocol: Protocol, index: number): Promise<void> {
    const { model, pauseMs, expected } = this.settings;
    for (let turn = 0; !this.over; turn++) {
      // Every second one streamed; a short stream takes another way through the proxy than a plain answer.
      const streamed = (turn + (index >> 1)) % 2 === 0;
      const verdict = await this.ask({ protocol, model, streamed, chunks: 4, interval: 0, expected });
      this.latencies.push(verdict.totalMs);
      await pause(pauseMs, "a client between two requests");
    }
  }

  private async holdStream(protocol: Protocol, index: number): Promise<void> {
    const { model, streams, streamSeconds, expected } = this.settings;
    await pause(index * 50, "streams do not begin all at once");
    // The first ones are of different lengths, so that their ends spread over the whole time.
    const spread = (Math.min(30, streamSeconds) * index) / streams;
    for (let turn = 0; !this.over; turn++) {
      const chunks = Math.ceil((streamSeconds + (turn === 0 ? spread : 0)) / CHUNK_SECONDS);
      this.streams += 1;
      const { kind } = await this.ask({
        protocol,
        model,
        streamed: true,
        chunks,
        interval: CHUNK_SECONDS,
        expected,
      });
      if (kind !== "ok") await pause(250, "a client that failed does not ask again at once");
    }
  }

  private async ask(question: Omit<Question, "nonce">): Promise<Verdict> {
    this.asked += 1;
    const flight = { excused: false };
    this.inFlight.add(flight);
    const verdict = await exchange(this.target, { ...question, nonce: `n${this.asked}x` });
    this.inFlight.delete(flight);
    this.longestMs = Math.max(this.longestMs, verdict.waitMs);
    if (verdict.kind === "ok") this.counts.ok += 1;
    else if (flight.excused) this.excused += 1;
    else {
      this.counts[verdict.kind] += 1;
      this.note(question, verdict);
    }
    return verdict;
  }

  private note({ protocol, streamed }: Omit<Question, "nonce">, { kind, reason }: Verdict): void {
    const what = `${kind} ${protocol} ${streamed ? "stream" : "plain"}: ${reason}`
      .replaceAll(/n\d+x:\d+/g, "#")
      .replace(/after \d+ characters/, "in the middle")
      .slice(0, 240);
    const known = this.reasons.get(what);
    const first = known?.first ?? (performance.now() - this.started) / 1000;
    this.reasons.set(what, { count: (known?.count ?? 0) + 1, first });
  }
}

function protocolOf(index: number): Protocol {
  return index % 2 === 0 ? "openai" : "anthropic";
}
