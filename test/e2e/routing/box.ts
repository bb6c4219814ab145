import { containersOf, exportsIn, masterKeyOf } from "../../support/box";
import { gpubox, makeProject, removeProject, type TestProject } from "../../support/project";
import { type Stub, startStub, stubModel, stubUrl } from "../../support/stub";
import { pause, until } from "../../support/wait";

export interface Answer {
  status: number;
  text: string;
  json: Record<string, never>;
  headers: Headers;
}

/** Cost of an answer of the stub: 1000 tokens in and 1000 out, at a dollar for a thousand. */
const price = { inputPerMillion: 1000, outputPerMillion: 1000 };

export const thinking = (on: boolean) => ({ chat_template_kwargs: { enable_thinking: on } });

/** Two gateways with their Redis, and a stub that is every server. */
export class RoutedBox {
  project!: TestProject;
  stub!: Stub;
  /** The master key. */
  key!: string;
  /** Address of the admin port. */
  admin!: string;
  /** One of the two containers. */
  gateway!: string;
  /** So that no answer of an earlier question is in the cache. */
  private asked = 0;

  async open(stack: string, port: number): Promise<void> {
    this.project = makeProject(stack, port, sections(stack, port));
    this.admin = `http://127.0.0.1:${port + 1}`;
    const up = await gpubox(this.project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    this.key = await masterKeyOf(this.project, exportsIn(up.stdout));
    const gateways = Object.entries(await containersOf(stack)).filter(([role]) => role.startsWith("gateway"));
    this.gateway = gateways[0]![1];
    this.stub = await startStub(this.project, this.gateway);
  }

  close(): void {
    removeProject(this.project);
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const answer = await fetch(`${this.project.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
    return { status: answer.status, text, json, headers: answer.headers };
  }

  chat(name: string, text: string, more: Record<string, unknown> = {}): Promise<Answer> {
    const messages = [{ role: "user", content: text }];
    return this.post("/v1/chat/completions", { model: name, messages, ...more });
  }

  /** A question that nobody asked before. */
  fresh(text = "question"): string {
    return `${text} ${this.asked++}`;
  }

  /** How many requests a server got since the test began. */
  async requests(server: string): Promise<number> {
    return (await this.stub.seen())[server]?.requests ?? 0;
  }
}

export const together = <T>(count: number, one: () => Promise<T>) =>
  Promise.all(Array.from({ length: count }, one));

/** Asks again until it is so. */
export const eventually = (check: () => Promise<boolean>) => until(`${check}`, check);

/** LiteLLM counts by the minute of the clock: what begins late in one would be counted in two. */
export async function freshMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await pause(left + 500, "a new minute of the clock");
}

function sections(stack: string, port: number): Record<string, unknown> {
  const model = (server: string, more: Record<string, unknown> = {}) => stubModel(stack, server, more);
  return {
    gateway: {
      port,
      replicas: 2,
      drainTimeout: 30,
      routing: { strategy: "least-busy", retries: 0, fallbacks: { shaky: ["safe"] } },
      limits: { providerBudgets: { groq: { usd: 3, per: "1d" } } },
      settings: { router: { model_group_retry_policy: { kept: { InternalServerErrorRetries: 1 } } } },
    },
    cache: { ttlSeconds: 600 },
    database: { mode: "none" },
    models: {
      plain: model("plain", { price: { inputPerMillion: 0.15, outputPerMillion: 0.6 } }),
      limited: model("limited", { rpm: 6 }),
      wordy: model("wordy", { tpm: 3000 }),
      narrow: model("narrow", { maxParallel: 4 }),
      pair: {
        engine: "openai",
        start: "manual",
        instances: [{ baseUrl: stubUrl(stack, "pair-1") }, { baseUrl: stubUrl(stack, "pair-2") }],
      },
      kept: {
        engine: "openai",
        start: "manual",
        instances: [{ baseUrl: stubUrl(stack, "kept-1") }, { baseUrl: stubUrl(stack, "kept-2") }],
      },
      shaky: model("shaky", { aliases: ["shaky-alias"] }),
      safe: model("safe"),
      brittle: model("brittle"),
      capped: model("capped", { price, budget: { usd: 3, per: "1d" } }),
      paid: {
        engine: "cloud",
        model: "groq/paid",
        apiBase: stubUrl(stack, "paid"),
        apiKey: "none",
        price,
        start: "manual",
      },
      thinks: model("shared", { params: { extra_body: thinking(true) } }),
      quick: model("shared", {
        params: {
          extra_body: thinking(false),
          ...{ temperature: 0.25, top_k: 20, max_tokens: 77, additional_drop_params: ["user"] },
          extra_headers: { "x-team": "red" },
        },
      }),
      apart: {
        engine: "openai",
        start: "manual",
        instances: [
          { name: "big", baseUrl: stubUrl(stack, "apart-1"), model: "served/big" },
          { name: "small", baseUrl: stubUrl(stack, "apart-2"), model: "small:4b", provider: "openai" },
        ],
      },
      "lab/*": model("many", { model: "*" }),
      "claude-*": model("any-claude", { model: "one-model" }),
      "claude-x[1m]": model("variant", { aliases: ["m@q4", "a+b"] }),
      "twin.a": model("twin-dot"),
      "twin-a": model("twin-dash"),
      text: model("text", { mode: "completion" }),
      embed: model("embed", { mode: "embedding" }),
      ranks: model("ranks", { mode: "rerank" }),
      hears: model("hears", { mode: "audio_transcription", provider: "openai" }),
      speaks: model("speaks", { mode: "audio_speech", provider: "openai" }),
    },
  };
}
