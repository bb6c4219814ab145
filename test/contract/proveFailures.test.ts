import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { join } from "node:path";
import { valveConfig } from "../../configs/plan/haproxy/valve";
import { allowance } from "../support/allowance";
import {
  type Case,
  chat,
  generation,
  KEY,
  listing,
  opening,
  prove,
  type Replies,
  type Reply,
  said,
} from "../support/proof";

// Each case starts a Python, and some wait for a deadline.
jest.setTimeout(60_000);

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
