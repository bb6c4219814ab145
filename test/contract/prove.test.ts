import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { valveConfig } from "../../configs/plan/haproxy/valve";
import { run } from "../../platform/process";
import { allowance } from "../support/allowance";
import { python3 } from "../support/python";

// Each case starts a Python, and some wait for a deadline.
jest.setTimeout(60_000);

// With a quote and shell syntax: the script has to read the env file as `sh` does.
const KEY = "sk-it's $HOME`x`\\n#1";
const ENV = `# made by gpubox\nOTHER='a=b'\nLITELLM_MASTER_KEY='${KEY.replaceAll("'", "'\\''")}'\nLAST='z'\n`;

type Reply = { status?: number; body: unknown };
type Replies = Record<string, Reply[]>;
interface Model {
  hash: string;
  mode: string;
  prove: boolean;
  elsewhere?: string[];
}

const chat = (hash: string): Model => ({ hash, mode: "chat", prove: true });
const generation = (models: Record<string, Model>, database = false) => ({
  generation: "g2",
  database,
  models,
});
const opening = (...opens: string[]) => ({ ...generation({ tiny: chat("a") }), opens });
const listing = (...names: string[]): Reply[] => [{ body: { data: names.map((id) => ({ id })) } }];
const said: Reply = { body: { choices: [{ message: { content: "pong" }, finish_reason: "stop" }] } };
const ready: Reply = { body: { status: "healthy", db: "connected" } };

const servers: Server[] = [];
const root = mkdtempSync(join(tmpdir(), "gpubox-prove-"));
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => rmSync(root, { recursive: true }));

interface Case {
  /** Path, or path and model, to its answers in order; the last one is repeated. */
  replies?: Replies;
  declared?: unknown;
  serving?: string;
  envFile?: string;
  deadline?: number;
  env?: Record<string, string>;
}

/** Runs the script against a gateway that gives these replies; what was asked comes back as `path model`. */
async function prove({ replies = {}, declared, serving = "", envFile = ENV, deadline = 5, env = {} }: Case) {
  const all: Replies = { "/health/readiness": [ready], "/v1/models": listing("tiny"), ...replies };
  const asked: string[] = [];
  const bodies: string[] = [];
  const keys = new Set<string | undefined>();
  const stub = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const target = body === "" ? `${request.url}` : `${request.url} ${JSON.parse(body).model}`;
    asked.push(target);
    if (body) bodies.push(body);
    keys.add(request.headers.authorization);
    const queue = all[target] ?? [said];
    const reply = queue.length > 1 ? queue.shift()! : queue[0]!;
    const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200).end(text);
  }).listen(0, "127.0.0.1");
  servers.push(stub);
  await new Promise((resolve) => stub.once("listening", resolve));
  const directory = mkdtempSync(join(root, "case-"));
  writeFileSync(join(directory, "gateway.env"), envFile);
  const text =
    typeof declared === "string" ? declared : JSON.stringify(declared ?? generation({ tiny: chat("a") }));
  writeFileSync(join(directory, "generation.json"), text);
  const script = join(__dirname, "../../assets/gateway/prove.py");
  const url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
  const began = performance.now();
  const { code, stdout, stderr } = await run(python3, [script, "--deadline", `${deadline}`], {
    stdin: serving,
    env: { GPUBOX_PROVE_URL: url, GPUBOX_PROVE_DIR: directory, ...env },
  });
  return {
    code,
    lines: stdout
      .replace(/\d+\.\d s/g, "N s")
      .split("\n")
      .slice(0, -1),
    stderr,
    asked,
    bodies,
    keys,
    seconds: (performance.now() - began) / 1000,
  };
}

test("a first generation is proven: ready, listed, and a completion through its model", async () => {
  const { code, lines, stderr, asked, keys, bodies } = await prove({});
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(lines).toEqual(["proven: ready", "proven: lists tiny", "proven: tiny answers (chat, N s)"]);
  expect(asked).toEqual(["/health/readiness", "/v1/models", "/v1/chat/completions tiny"]);
  expect([...keys]).toEqual([`Bearer ${KEY}`]);
  expect(JSON.parse(bodies[0]!)).toEqual({
    model: "tiny",
    max_tokens: 8,
    temperature: 0,
    cache: { "no-cache": true, "no-store": true },
    messages: [{ role: "user", content: expect.stringMatching(/^Say a few words\. \([0-9a-f]{8}\)$/) }],
  });
});

const guarded = JSON.stringify({ ...generation({ tiny: chat("a") }), guardrails: ["words", "own"] });
const guards = (...names: string[]): Replies => ({
  "/v2/guardrails/list": [{ body: { guardrails: names.map((guardrail_name) => ({ guardrail_name })) } }],
});

test("guardrails are proven by LiteLLM's list of them", async () => {
  const replies = guards("own", "words", "of-the-database");
  const { code, lines, stderr } = await prove({ declared: guarded, replies });
  expect([code, stderr]).toEqual([0, ""]);
  expect(lines).toContain("proven: guards with words, own");
});

test("a guardrail that LiteLLM left out fails the proof before any model is asked", async () => {
  const { code, stderr, asked } = await prove({ declared: guarded, replies: guards("own") });
  expect([code, stderr]).toEqual([
    1,
    "The gateway did not load the guardrail words, and would serve without it.\n",
  ]);
  expect(asked).not.toContain("/v1/chat/completions tiny");
});

test("only new and changed models are called, and none that must not be called", async () => {
  const models = {
    same: chat("a"),
    changed: chat("b"),
    added: chat("c"),
    cloud: { ...chat("d"), prove: false },
  };
  const serving = JSON.stringify(generation({ same: chat("a"), changed: chat("a"), removed: chat("z") }));
  const { code, lines, asked } = await prove({
    declared: generation(models),
    serving,
    replies: {
      "/v1/models": listing("cloud", "added", "changed", "same"),
      "/v1/chat/completions same": [{ status: 500, body: "down" }],
    },
  });
  expect(code).toBe(0);
  expect(lines).toEqual([
    "proven: ready",
    "proven: lists same, changed, added, cloud",
    "skipped: same is unchanged",
    "proven: changed answers (chat, N s)",
    "proven: added answers (chat, N s)",
    "skipped: cloud is not to be called",
  ]);
  expect(asked.slice(2)).toEqual(["/v1/chat/completions changed", "/v1/chat/completions added"]);
});

test("an unreadable serving generation counts as none: every model is called", async () => {
  const { code, asked } = await prove({ serving: '{"models": 3' });
  expect(code).toBe(0);
  expect(asked[2]).toBe("/v1/chat/completions tiny");
});

test("models for embeddings and for plain completions are called on their own paths", async () => {
  const models = { embed: { ...chat("a"), mode: "embedding" }, base: { ...chat("b"), mode: "completion" } };
  const { code, lines, asked } = await prove({
    declared: generation(models),
    replies: {
      "/v1/models": listing("embed", "base"),
      "/v1/embeddings embed": [{ body: { data: [{ embedding: [0.1] }] } }],
      "/v1/completions base": [{ body: { choices: [{ text: "pong" }] } }],
    },
  });
  expect(code).toBe(0);
  expect(lines.slice(2)).toEqual([
    "proven: embed answers (embedding, N s)",
    "proven: base answers (completion, N s)",
  ]);
  expect(asked.slice(2)).toEqual(["/v1/embeddings embed", "/v1/completions base"]);
});

test("a reranker is proven by a score for two documents", async () => {
  const { code, lines, asked, bodies } = await prove({
    declared: generation({ ranks: { ...chat("a"), mode: "rerank" } }),
    replies: {
      "/v1/models": listing("ranks"),
      "/v1/rerank ranks": [{ body: { results: [{ index: 0, relevance_score: 0.9 }] } }],
    },
  });
  expect(code).toBe(0);
  expect(lines[2]).toBe("proven: ranks answers (rerank, N s)");
  expect(asked[2]).toBe("/v1/rerank ranks");
  expect(JSON.parse(bodies[0]!)).toMatchObject({
    query: expect.stringMatching(/^Say a few words/),
    documents: ["a few words", "nothing"],
  });
});

test("a model that judges texts is proven by a judgement", async () => {
  const { code, lines, asked } = await prove({
    declared: generation({ judges: { ...chat("a"), mode: "moderation" } }),
    replies: {
      "/v1/models": listing("judges"),
      "/v1/moderations judges": [{ body: { results: [{ flagged: false }] } }],
    },
  });
  expect([code, lines[2], asked[2]]).toEqual([
    ...[0, "proven: judges answers (moderation, N s)", "/v1/moderations judges"],
  ]);
});

test("models that speak, transcribe or draw are listed and not called", async () => {
  const models = {
    says: { ...chat("a"), mode: "audio_speech" },
    hears: { ...chat("b"), mode: "audio_transcription" },
    draws: { ...chat("c"), mode: "image_generation" },
  };
  const { code, lines, asked } = await prove({
    declared: generation(models),
    replies: { "/v1/models": listing("says", "hears", "draws") },
  });
  expect(code).toBe(0);
  expect(lines.slice(2)).toEqual([
    "skipped: says has no request that would prove audio_speech",
    "skipped: hears has no request that would prove audio_transcription",
    "skipped: draws has no request that would prove image_generation",
  ]);
  expect(asked).toEqual(["/health/readiness", "/v1/models"]);
});

test("a model whose thoughts stay hidden is proven by the tokens that it spent", async () => {
  const hidden = { choices: [{ message: { content: "" } }], usage: { completion_tokens: 8 } };
  const { code } = await prove({ replies: { "/v1/chat/completions tiny": [{ body: hidden }] } });
  expect(code).toBe(0);
});

test("readiness, the list and a model are waited for while they answer 503 or 429", async () => {
  const busy: Reply = { status: 503, body: { error: { message: "loading" } } };
  const { code, asked } = await prove({
    deadline: 20,
    replies: {
      "/health/readiness": [busy, ready],
      "/v1/models": [busy, ...listing("tiny")],
      "/v1/chat/completions tiny": [busy, { status: 429, body: "" }, said],
    },
  });
  expect(code).toBe(0);
  expect(asked.length).toBe(2 + 2 + 3);
});

test("with a database, readiness waits until it is connected", async () => {
  const { code, lines, asked } = await prove({
    declared: generation({ tiny: chat("a") }, true),
    replies: { "/health/readiness": [{ body: { status: "healthy", db: "Not connected" } }, ready] },
  });
  expect(code).toBe(0);
  expect(lines[0]).toBe("proven: ready, database connected");
  expect(asked.slice(0, 2)).toEqual(["/health/readiness", "/health/readiness"]);
});

test("proxy variables do not lead it away from the gateway", async () => {
  const { code } = await prove({
    env: { http_proxy: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" },
  });
  expect(code).toBe(0);
});

const refusal = (status: number): Replies => ({
  "/v1/chat/completions tiny": [{ status, body: { error: { message: `no: ${KEY}` } } }],
});
const FAILURES: [string, Case, string][] = [
  [
    "a gateway that stays unready",
    { deadline: 3, replies: { "/health/readiness": [{ status: 503, body: { error: "starting" } }] } },
    "The gateway was not ready within 3 s: status 503: starting",
  ],
  [
    "a gateway that does not listen",
    { deadline: 3, env: { GPUBOX_PROVE_URL: "http://127.0.0.1:9" } },
    "The gateway was not ready within 3 s: no answer ([Errno 111] Connection refused)",
  ],
  [
    "a database that stays away",
    {
      deadline: 3,
      declared: generation({ tiny: chat("a") }, true),
      replies: { "/health/readiness": [{ body: { db: "Not connected" } }] },
    },
    'The gateway was not ready within 3 s: its database is "Not connected" and not "connected"',
  ],
  [
    "a list that lacks a model and holds another",
    { replies: { "/v1/models": listing("ghost") } },
    "The gateway's list of models lacks tiny and holds ghost, which the config does not declare.",
  ],
  [
    "a list that holds another than an entry for many opens",
    { declared: opening("groq/"), replies: { "/v1/models": listing("tiny", "groq/x", "grok/x") } },
    "The gateway's list of models holds grok/x, which the config does not declare.",
  ],
  [
    "a list that is refused, without the key that the server echoes",
    { replies: { "/v1/models": [{ status: 401, body: { error: { message: `bad key ${KEY}` } } }] } },
    "The gateway did not list its models: status 401: bad key [key]",
  ],
  ["a 400", { replies: refusal(400) }, "Model tiny refused a chat request: status 400: no: [key]"],
  ["a 401", { replies: refusal(401) }, "Model tiny refused a chat request: status 401: no: [key]"],
  ["a 404", { replies: refusal(404) }, "Model tiny refused a chat request: status 404: no: [key]"],
  [
    "a model that stays down",
    { deadline: 4, replies: refusal(503) },
    "Model tiny answered no chat request within 4 s: status 503: no: [key]",
  ],
  [
    "an answer with nothing in it",
    { replies: { "/v1/chat/completions tiny": [{ body: { choices: [] } }] } },
    'Model tiny answered a chat request with nothing: status 200: {"choices": []}',
  ],
  [
    "a mode without a proof",
    { declared: generation({ tiny: { ...chat("a"), mode: "video_generation" } }) },
    "Model tiny cannot be proven: there is no proof for mode video_generation.",
  ],
  [
    "a reranking without a score",
    {
      declared: generation({ tiny: { ...chat("a"), mode: "rerank" } }),
      replies: { "/v1/rerank tiny": [{ body: { results: [] } }] },
    },
    'Model tiny answered a rerank request with nothing: status 200: {"results": []}',
  ],
  ["an env file without the key", { envFile: "OTHER='x'\n" }, "gateway.env holds no LITELLM_MASTER_KEY."],
  [
    "an env file that sh would refuse",
    { envFile: "LITELLM_MASTER_KEY='x\n" },
    "gateway.env is not in the shell's format: No closing quotation.",
  ],
  [
    "a generation of another shape",
    { declared: { models: {} } },
    "generation.json has another shape than this script reads: KeyError('database').",
  ],
];

test("an entry for many is not asked, and what LiteLLM knows of its provider may be listed", async () => {
  const listed = { "/v1/models": listing("groq/x", "tiny", "groq/y") };
  const { code, lines, asked } = await prove({ declared: opening("groq/"), replies: listed });
  expect(code).toBe(0);
  expect(lines.slice(1, 3)).toEqual([
    "proven: lists tiny",
    "skipped: groq/* opens many models, and names none to call",
  ]);
  expect(asked.filter((one) => one.includes("groq"))).toEqual([]);
});

test.each(FAILURES)("%s fails with one sentence and exit code 1", async (_, given, sentence) => {
  const { code, stderr } = await prove(given);
  expect(stderr).toBe(`${sentence}\n`);
  expect(code).toBe(1);
});

test("a refusal is not tried again", async () => {
  const { asked } = await prove({ replies: refusal(400) });
  expect(asked.filter((target) => target === "/v1/chat/completions tiny").length).toBe(1);
});

test("a model that its slot cannot load is given up at the third failure, long before the deadline", async () => {
  const failed = { status: 503, body: { error: { message: "its server did not load; the log says why" } } };
  const path = "/v1/chat/completions tiny";
  const twice = await prove({ replies: { [path]: [failed, failed, said] }, deadline: 50 });
  expect([twice.code, twice.stderr]).toEqual([0, ""]);
  const { code, stderr, asked } = await prove({ replies: { [path]: [failed] }, deadline: 50 });
  expect([code, stderr]).toEqual([
    1,
    "Model tiny answered no chat request: status 503: its server did not load; the log says why\n",
  ]);
  expect(asked.filter((one) => one === path)).toHaveLength(3);
});

test("it recognises that failure by the valve's own words", () => {
  const valve = valveConfig({
    ...{ model: "tiny", holdSeconds: 0, routes: ["/v1/chat/completions"], slot: "big" },
    backend: { name: "slot-big", port: 6000, healthPath: "/health" },
  }).join("");
  const script = readFileSync(join(__dirname, "../../assets/gateway/prove.py"), "utf8");
  expect(valve).toContain(/^NOT_LOADED = "(.+)"$/m.exec(script)![1]);
});

/** A port of this machine that nobody listens on, and one where somebody does and says nothing. */
async function ports() {
  const silent = createSocketServer().listen(0, "127.0.0.1");
  const gone = createSocketServer().listen(0, "127.0.0.1");
  await Promise.all([silent, gone].map((one) => new Promise((resolve) => one.once("listening", resolve))));
  const [open, closed] = [silent, gone].map((one) => `127.0.0.1:${(one.address() as AddressInfo).port}`);
  await new Promise((resolve) => gone.close(resolve));
  return { silent, open: open!, closed: closed! };
}

test("a server elsewhere that nobody can connect to is given up within 15 s; what may still load keeps its time", async () => {
  const { silent, open, closed } = await ports();
  const down: Reply = { status: 500, body: { error: { message: "Connection error." } } };
  const at = (...elsewhere: string[]): Case => ({
    deadline: 20,
    declared: generation({ tiny: { ...chat("a"), ...(elsewhere.length > 0 && { elsewhere }) } }),
    replies: { "/v1/chat/completions tiny": [down] },
  });
  const [refused, unknown, half, loading, own] = await Promise.all([
    prove(at(closed)),
    prove(at("nobody.invalid:80")),
    prove(at(closed, open)),
    prove(at(open)),
    prove(at()),
  ]);
  silent.close();
  const because = "Model tiny answered no chat request, because no server listens:";
  expect([refused.code, refused.stderr]).toEqual([1, `${because} ${closed}: Connection refused\n`]);
  expect([unknown.code, unknown.stderr]).toEqual([1, `${because} the name nobody.invalid is not known\n`]);
  for (const { seconds } of [refused, unknown]) {
    expect(seconds).toBeGreaterThan(9);
    expect(seconds).toBeLessThan(allowance(15));
  }
  const patience = "Model tiny answered no chat request within 20 s: status 500: Connection error.\n";
  for (const { code, stderr, seconds } of [half, loading, own]) {
    expect([code, stderr]).toEqual([1, patience]);
    expect(seconds).toBeGreaterThan(18);
  }
});

test("a server elsewhere that listens in time is proven", async () => {
  const { silent, closed } = await ports();
  silent.close();
  const down: Reply = { status: 500, body: { error: { message: "Connection error." } } };
  const { code, lines } = await prove({
    deadline: 20,
    declared: generation({ tiny: { ...chat("a"), elsewhere: [closed] } }),
    replies: { "/v1/chat/completions tiny": [down, down, said] },
  });
  expect([code, lines.at(-1)]).toEqual([0, "proven: tiny answers (chat, N s)"]);
});

test("an answer that trickles past the deadline is given up", async () => {
  const trickle = createServer((_, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write(" "), 100);
    response.on("close", () => clearInterval(timer));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => trickle.once("listening", resolve));
  const url = `http://127.0.0.1:${(trickle.address() as AddressInfo).port}`;
  const { code, stderr } = await prove({ deadline: 1, env: { GPUBOX_PROVE_URL: url } });
  trickle.closeAllConnections();
  trickle.close();
  expect(stderr).toBe("The gateway did not finish an answer within 1 s.\n");
  expect(code).toBe(1);
});
