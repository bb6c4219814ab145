import {
  answer,
  type Behaviour,
  chatChunk,
  chatEnd,
  choice,
  FIX,
  KEY,
  messageText,
  smokeStub,
  stream,
} from "../../../support/smokeStub";

test("a healthy box passes, with one line per check", async () => {
  const { lines, failure } = await smokeStub();
  expect(failure).toBeUndefined();
  expect(lines).toEqual([
    "  ok    /health/readiness   healthy, db: connected",
    "  ok    /v1/models   tiny",
    "  ok    tiny  /v1/chat/completions  plain      N ms",
    "  ok    tiny  /v1/chat/completions  streamed   2 chunks, first after N ms",
    "  ok    tiny  /v1/completions       plain      N ms",
    "  ok    tiny  /v1/completions       streamed   1 chunk, first after N ms",
    "  ok    tiny  /v1/messages          plain      N ms",
    "  ok    tiny  /v1/messages          streamed   2 chunks, first after N ms",
  ]);
});

test("each protocol gets the key in its own header, and readiness gets none", async () => {
  const { seen } = await smokeStub();
  const keys = seen.map(({ check, headers }) => [
    check.split(" ")[0],
    headers.authorization,
    headers["x-api-key"],
    headers["anthropic-version"],
  ]);
  const bearer = `Bearer ${KEY}`;
  expect(keys).toEqual([
    ["/health/readiness", undefined, undefined, undefined],
    ["/v1/models", bearer, undefined, undefined],
    ["/v1/chat/completions", bearer, undefined, undefined],
    ["/v1/chat/completions", bearer, undefined, undefined],
    ["/v1/completions", bearer, undefined, undefined],
    ["/v1/completions", bearer, undefined, undefined],
    ["/v1/messages", undefined, KEY, "2023-06-01"],
    ["/v1/messages", undefined, KEY, "2023-06-01"],
  ]);
});

test("without a key no request carries one", async () => {
  const { seen, failure } = await smokeStub({}, { key: undefined });
  expect(failure).toBeUndefined();
  expect(seen.filter(({ headers }) => headers.authorization || headers["x-api-key"])).toEqual([]);
});

test("no question is asked twice, so that no cache can answer it", async () => {
  const { seen } = await smokeStub();
  const questions = seen.flatMap(({ body }) => body.match(/Say a few words\. \([0-9a-f]{8}\)/) ?? []);
  expect(new Set(questions).size).toBe(6);
});

test("a model is asked by the named protocols only", async () => {
  const { lines } = await smokeStub({}, { models: [{ name: "tiny", protocols: ["messages"] }] });
  expect(lines.slice(2).map((line) => line.slice(14, 46).trim())).toEqual([
    "/v1/messages          plain",
    "/v1/messages          streamed",
  ]);
});

test("missing and undeclared models are named", async () => {
  const models = [
    { name: "tiny", protocols: [] },
    { name: "big", protocols: [] },
  ];
  const listed = { "/v1/models": answer(200, { data: [{ id: "tiny" }, { id: "ghost" }] }) };
  const { failure } = await smokeStub(listed, { models });
  expect(failure).toBe(
    `1 of 2 checks failed:\n  - /v1/models: missing: big; listed but not declared: ghost ${FIX}`,
  );
});

test("what an entry for many opens may be listed, and nothing else that is not declared", async () => {
  const models = [{ name: "tiny", protocols: [] }];
  const listed = (id: string) => ({ "/v1/models": answer(200, { data: [{ id: "tiny" }, { id }] }) });
  const opens = ["groq/"];
  expect((await smokeStub(listed("groq/x"), { models, opens })).failure).toBe(undefined);
  expect((await smokeStub(listed("grok/x"), { models, opens })).failure).toContain("not declared: grok/x");
});

const CHAT = "/v1/chat/completions";
const FAULTS: [string, string, Behaviour, string][] = [
  ["a gateway that is not ready", "/health/readiness", answer(503, ""), "status 503: no message"],
  [
    "a readiness body of another shape",
    "/health/readiness",
    answer(200, []),
    "the answer has another shape: : Invalid input: expected object, received array",
  ],
  [
    "a page instead of JSON",
    `${CHAT} plain`,
    answer(200, "<html>\u001b[31m"),
    "the answer is not JSON: <html> [31m",
  ],
  ["a 500", `${CHAT} plain`, answer(500, { error: { message: "boom" } }), "status 500: boom"],
  [
    "an Anthropic error",
    "/v1/messages plain",
    answer(400, { type: "error", error: { type: "invalid", message: "bad" } }),
    "status 400: bad",
  ],
  [
    "a long message",
    `${CHAT} plain`,
    answer(500, { error: { message: "x".repeat(900) } }),
    `status 500: ${"x".repeat(288)}`,
  ],
  [
    "a server that echoes the key",
    `${CHAT} plain`,
    answer(401, `unknown key ${KEY}!`),
    "status 401: unknown key [key]!",
  ],
  [
    "a redirect",
    `${CHAT} plain`,
    (response) => response.writeHead(302, { location: "/v1/models" }).end(),
    "status 302: no message",
  ],
  [
    "an empty text",
    `${CHAT} plain`,
    answer(200, choice({ message: { content: null }, finish_reason: "stop" })),
    "the answer's text is empty",
  ],
  [
    "an answer without choices",
    `${CHAT} plain`,
    answer(200, { choices: [] }),
    "the answer has another shape: choices: Too small: expected array to have >=1 items",
  ],
  [
    "a stream without [DONE]",
    `${CHAT} streamed`,
    stream(chatChunk("pong"), chatEnd),
    "the stream ended without [DONE]",
  ],
  [
    "a stream that only starts",
    `${CHAT} streamed`,
    stream(chatChunk("pong")),
    "the stream ended without a finish_reason and without [DONE]",
  ],
  ["a stream without text", `${CHAT} streamed`, stream(chatEnd, "[DONE]"), "the stream's text is empty"],
  [
    "an error in the stream",
    `${CHAT} streamed`,
    stream(chatChunk("pong"), { error: { message: "backend died", code: 500 } }, "[DONE]"),
    "an error in the stream: backend died",
  ],
  [
    "an end before the finish",
    `${CHAT} streamed`,
    stream(chatChunk("pong"), "[DONE]", chatEnd),
    "the stream is out of order: [DONE], a finish_reason",
  ],
  [
    "messages without an end",
    "/v1/messages streamed",
    stream({ type: "message_start" }, messageText("pong")),
    "the stream ended without message_stop",
  ],
  [
    "messages without a start",
    "/v1/messages streamed",
    stream(messageText("pong"), { type: "message_stop" }),
    "the stream ended without message_start",
  ],
  [
    "a connection that breaks in the stream",
    "/v1/completions streamed",
    (response) => {
      response.writeHead(200).write('data: {"choices":[]}\n\n', () => response.destroy());
    },
    "terminated: other side closed",
  ],
];

test.each(FAULTS)("%s fails this check only, with the reason", async (_, check, behaviour, reason) => {
  const { lines, failure } = await smokeStub({ [check]: behaviour });
  const name = check.startsWith("/health") ? check : `tiny ${check}`;
  expect(failure).toBe(`1 of 8 checks failed:\n  - ${name}: ${reason} ${FIX}`);
  expect(lines.filter((line) => line.startsWith("  ok    ")).length).toBe(7);
  expect(lines.filter((line) => line.startsWith("  FAIL  ") && line.endsWith(`   ${reason}`)).length).toBe(1);
  expect(lines.join()).not.toContain(KEY);
});

test("an answer that does not end is given up after the time limit", async () => {
  const hangs: Behaviour = (response) => void response.writeHead(200).write("data: ");
  const { failure } = await smokeStub({ [`${CHAT} streamed`]: hangs }, { timeoutMs: 300 });
  expect(failure).toBe(
    `1 of 8 checks failed:\n  - tiny ${CHAT} streamed: no complete answer within 0.3 s ${FIX}`,
  );
});

test("if nobody listens, each check says so", async () => {
  const { failure } = await smokeStub({}, { endpoint: "http://127.0.0.1:2", models: [] });
  const refused = "connect ECONNREFUSED 127.0.0.1:2";
  expect(failure).toBe(
    `2 of 2 checks failed:\n  - /health/readiness: fetch failed: ${refused}\n  - /v1/models: fetch failed: ${refused} ${FIX}`,
  );
});

test("a model that spends its tokens on thoughts passes", async () => {
  const { failure } = await smokeStub({
    [`${CHAT} plain`]: answer(
      200,
      choice({ message: { content: null, reasoning_content: "hm" }, finish_reason: "length" }),
    ),
    [`${CHAT} streamed`]: stream(choice({ delta: { reasoning_content: "hm" } }), chatEnd, "[DONE]"),
    "/v1/messages plain": answer(200, {
      type: "message",
      content: [{ type: "thinking", thinking: "hm" }],
      stop_reason: "max_tokens",
    }),
  });
  expect(failure).toBeUndefined();
});

test("embeddings and reranking are requested once each, and count only with content", async () => {
  const models = [{ name: "e", protocols: ["embeddings", "rerank"] as const }];
  const fine = {
    "/v1/embeddings plain": answer(200, { data: [{ embedding: [0.5] }] }),
    "/v1/rerank plain": answer(200, { results: [{ relevance_score: 0.5 }] }),
  };
  const listed = { "/v1/models": answer(200, { data: [{ id: "e" }] }) };
  const asked = { models: models.map((model) => ({ ...model, protocols: [...model.protocols] })) };
  const healthy = await smokeStub({ ...listed, ...fine }, asked);
  expect(healthy.checks.map(({ check, ok }) => [check, ok])).toEqual([
    ["/health/readiness", true],
    ["/v1/models", true],
    ["e /v1/embeddings plain", true],
    ["e /v1/rerank plain", true],
  ]);
  const empty = { "/v1/embeddings plain": answer(200, { data: [{ embedding: [] }] }) };
  expect((await smokeStub({ ...listed, ...fine, ...empty }, asked)).failure).toContain("data.0.embedding");
});

test("a gate that lets a wrong key or an admin route in fails", async () => {
  const open = await smokeStub(
    { "/key/gpubox-probe": answer(200, "[]"), "/v1/models/gpubox-probe": answer(200, "{}") },
    { gate: true, models: [] },
  );
  expect(open.checks.slice(2)).toEqual([
    { check: "a wrong key", ok: false, detail: "status 200 instead of 401" },
    { check: "an admin route", ok: false, detail: "status 200 instead of 404" },
  ]);
  const shut = await smokeStub({ "/v1/models/gpubox-probe": answer(401, "no") }, { gate: true, models: [] });
  expect(shut.checks.slice(2).map(({ detail }) => detail)).toEqual(["refused with 401", "refused with 404"]);
});
