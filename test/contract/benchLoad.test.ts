import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { BenchCase } from "../../operations/bench/cases";
import { figuresOf, type Sample } from "../../operations/bench/figures";
import { type LoadEvent, type LoadSettings, loadEvent } from "../../operations/bench/runLoad";
import { python3 } from "../support/python";
import { type Asked, type TokenServerOptions, tokenServer, tokensOf } from "../support/tokenServer";
import { until } from "../support/wait";

// Each case starts a Python.
jest.setTimeout(60_000);

const KEY = "sk-secret-of-the-box";
const one: BenchCase = { concurrency: 1, promptTokens: 128, outputTokens: 16, requests: 4, shared: false };

/** Milliseconds by which a time may be longer than the server's own on a busy machine; it is never shorter. */
const LATE_MS = 400;

const opened: { close: () => void }[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const server of opened.splice(0)) server.close();
});

/** Starts the script against a server. */
async function start(options: TokenServerOptions, cases: BenchCase[], more: Partial<LoadSettings> = {}) {
  const server = await tokenServer(options);
  opened.push(server);
  const settings: LoadSettings = {
    ...{ address: ["127.0.0.1", server.port], tls: null, host: "localhost", key: KEY },
    ...{ path: "/v1/chat/completions", body: { model: "m", ignore_eos: true } },
    ...{ seconds: 60, requestSeconds: 30, cases },
    ...more,
  };
  const child = spawn(python3, [join(__dirname, "../../assets/bench/load.py")]);
  children.push(child);
  const events: LoadEvent[] = [];
  let stderr = "";
  child.stderr.on("data", (part) => {
    stderr += part;
  });
  createInterface({ input: child.stdout }).on("line", (line) =>
    events.push(loadEvent.parse(JSON.parse(line))),
  );
  child.stdin.write(`${JSON.stringify(settings)}\n`);
  const done = once(child, "close").then(([code]) => ({ code, stderr, events }));
  return { child, server, events, done };
}

async function load(options: TokenServerOptions, cases: BenchCase[], more: Partial<LoadSettings> = {}) {
  const { server, done } = await start(options, cases, more);
  const { code, stderr, events } = await done;
  expect([code, stderr]).toEqual([0, ""]);
  return { asked: server.asked, events };
}

const samplesOf = (events: LoadEvent[], index: number) =>
  events.flatMap((event) =>
    "samples" in event && event.case === index ? (event.samples as (Sample & { error?: string })[]) : [],
  );
/** The requests after the two that learn what a word is. */
const after = (asked: Asked[]) => asked.slice(2);

test("tokens are the server's, times are those of its stream, and every prompt is another one", async () => {
  const { asked, events } = await load({ firstMs: 60, gapMs: 20, tokensInPiece: 2 }, [one]);
  expect(events.map((event) => Object.keys(event)[0])).toEqual(["calibrated", "case", "ended"]);
  expect(events.at(-1)).toEqual({ ended: "done" });
  const samples = samplesOf(events, 0);
  expect(samples).toHaveLength(4);
  for (const sample of samples) {
    // Sixteen tokens in eight pieces.
    expect([sample.output, sample.pieces, sample.cached]).toEqual([16, 8, 4]);
    expect(sample.first - sample.began).toBeGreaterThanOrEqual(0.058);
    expect(sample.first - sample.began).toBeLessThan((60 + LATE_MS) / 1000);
    expect(sample.last - sample.first).toBeGreaterThanOrEqual(7 * 0.019);
    expect(sample.last - sample.first).toBeLessThan((7 * 20 + LATE_MS) / 1000);
    expect(sample.ended).toBeGreaterThanOrEqual(sample.last);
    // 1.5 tokens a word are learnt from two questions, to within a token of each.
    expect(Math.abs(sample.prompt - 128)).toBeLessThanOrEqual(4);
  }
  const figures = figuresOf(one, samples, 0)!;
  expect(figures.outputCounted).toBe(16);
  // (7 gaps of 20 ms) / (15 tokens after the first one).
  expect(figures.interTokenMs!.p50).toBeGreaterThanOrEqual((7 * 19) / 15);
  expect(figures.interTokenMs!.p50).toBeLessThan((7 * 20 + LATE_MS) / 15);
  const texts = asked.map(({ text }) => text);
  expect(new Set(texts.map((text) => text.split(" ")[0])).size).toBe(texts.length);
  expect(samples.map(({ prompt }) => prompt)).toEqual(
    after(asked)
      .slice(1)
      .map(({ text }) => tokensOf(text)),
  );
});

test("each request asks for a stream with usage, in the client's own way", async () => {
  const { asked } = await load({}, [one]);
  expect(asked).toHaveLength(2 + 1 + 4);
  for (const { body, authorization, host } of asked) {
    expect(body).toMatchObject({
      model: "m",
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect([authorization, host]).toEqual([`Bearer ${KEY}`, "localhost"]);
  }
  expect(after(asked).map(({ body }) => body.max_tokens)).toEqual([4, 16, 16, 16, 16]);
});

test("a level has as many requests at a time as it says, after as many to warm up, and never more", async () => {
  const cases = [1, 4].map((concurrency) => ({ ...one, concurrency, requests: 8 }));
  const { asked, events } = await load({ firstMs: 30, gapMs: 2 }, cases);
  expect(samplesOf(events, 0)).toHaveLength(8);
  expect(samplesOf(events, 1)).toHaveLength(8);
  const [alone, four] = [after(asked).slice(0, 9), after(asked).slice(9)];
  expect(Math.max(...alone.map(({ atOnce }) => atOnce))).toBe(1);
  expect(four.map(({ body }) => body.max_tokens)).toEqual([4, 4, 4, 4, ...Array(8).fill(16)]);
  expect(Math.max(...four.map(({ atOnce }) => atOnce))).toBe(4);
});

test("prompts with a shared beginning have nine tenths of it in common, those without have nothing", async () => {
  const cases = [false, true].map((shared) => ({ ...one, promptTokens: 302, shared }));
  const { asked, events } = await load({}, cases);
  const [own, shared] = [after(asked).slice(0, 5), after(asked).slice(5)];
  const common = (texts: string[]) => {
    const [first, ...others] = texts.map((text) => text.split(" "));
    return first!.findIndex((word, index) => others.some((other) => other[index] !== word));
  };
  expect(common(own.map(({ text }) => text))).toBe(0);
  // (302 - 5) / 1.5 = 198 words, of which 178 and the word that marks the run are shared.
  const words = common(shared.map(({ text }) => text));
  expect(words).toBeGreaterThanOrEqual(170);
  expect(words).toBeLessThanOrEqual(188);
  for (const { prompt } of samplesOf(events, 1)) expect(Math.abs(prompt - 302)).toBeLessThanOrEqual(8);
});

test("a case that the server refuses is told in its words, and the others are measured", async () => {
  const { events } = await load(
    {
      instead: ({ text }, response) => {
        if (tokensOf(text) < 500) return false;
        response
          .writeHead(400)
          .end(JSON.stringify({ error: { message: "context of 500 tokens\n exceeded" } }));
        return true;
      },
    },
    [one, { ...one, promptTokens: 1024 }, { ...one, concurrency: 2 }],
  );
  expect(events[2]).toEqual({ case: 1, refused: "status 400: context of 500 tokens exceeded" });
  expect(samplesOf(events, 0).map(({ error }) => error)).toEqual(Array(4).fill(undefined));
  expect(samplesOf(events, 2)).toHaveLength(4);
  expect(events.at(-1)).toEqual({ ended: "done" });
});

test.each<[string, (response: import("node:http").ServerResponse) => void, string]>([
  ["a limit", (r) => r.writeHead(429).end('{"error":"slower"}'), "status 429: slower"],
  [
    "an error in the stream",
    (r) => r.end('data: {"error":{"message":"no memory"}}\n\n'),
    "an error in the stream: no memory",
  ],
  [
    "a stream that breaks off",
    (r) => r.end('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
    "the stream broke off",
  ],
  ["an answer without text", (r) => r.end("data: [DONE]\n\n"), "the stream had no text"],
  [
    "no usage",
    (r) => r.end('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'),
    "the server does not say how many tokens its answer has (usage)",
  ],
  [
    "a connection that is reset",
    (r) => r.destroy(),
    "no whole answer: Remote end closed connection without response",
  ],
])("%s is a failed request with its reason", async (_, answer, error) => {
  let count = 0;
  const { events } = await load(
    {
      // The third of the measured requests: two learn words, one warms up.
      instead: (_asked, response) => {
        count += 1;
        if (count === 6) answer(response);
        return count === 6;
      },
    },
    [one],
  );
  expect(samplesOf(events, 0).map((sample) => sample.error)).toEqual([
    undefined,
    undefined,
    error,
    undefined,
  ]);
});

test("a model that answers nothing ends the load at once, with its words", async () => {
  const { asked, events } = await load(
    {
      instead: (_, response) => {
        response.writeHead(503).end('{"error":{"message":"m is stopped"}}');
        return true;
      },
    },
    [one],
  );
  expect(events).toEqual([{ ended: "refused", said: "status 503: m is stopped" }]);
  expect(asked).toHaveLength(1);
});

test.each<[string, (child: ChildProcess) => void]>([
  ["Ctrl-C", (child) => child.kill("SIGINT")],
  ["the end of its input", (child) => child.stdin!.end()],
])("%s closes what is open, keeps whole cases, and ends in order", async (_, end) => {
  const long = { ...one, concurrency: 3, outputTokens: 4096 };
  const { child, server, events, done } = await start({ gapMs: 5 }, [one, long]);
  await until(
    "the long answers run",
    () => after(server.asked).filter(({ body }) => body.max_tokens === 4096).length === 3,
  );
  end(child);
  const { code, stderr } = await done;
  expect([code, stderr]).toEqual([0, ""]);
  expect(samplesOf(events, 0)).toHaveLength(4);
  expect(events.slice(-2)).toEqual([{ case: 1, cut: true, samples: [] }, { ended: "stopped" }]);
  await until("the server knows", () => server.asked.slice(-3).every(({ gone }) => gone));
});

test("its time is a bound", async () => {
  const { events } = await load({ gapMs: 5 }, [{ ...one, outputTokens: 4096 }], { seconds: 2 });
  expect(events.slice(-2)).toEqual([{ case: 0, cut: true, samples: [] }, { ended: "time" }]);
});
