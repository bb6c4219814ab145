import {
  chat,
  generation,
  KEY,
  listing,
  opening,
  prove,
  type Replies,
  type Reply,
  ready,
  said,
} from "../support/proof";

// Each case starts a Python, and some wait for a deadline.
jest.setTimeout(60_000);

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
