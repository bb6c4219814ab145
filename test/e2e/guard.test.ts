import { request } from "node:http";
import type { BodyRoute } from "../../configs/bodies/judged";
import { keptIn, steeringNames } from "../../configs/bodies/kept";
import litellm from "../../configs/bodies/litellm.json";
import { parseStack } from "../../configs/parse";
import { guardRules } from "../../configs/plan/guard";
import { GuardedGateway } from "../support/guardedGateway";
import { needs } from "../support/needs";
import { rawStack } from "../support/stacks";

const MINUTE = 60_000;
jest.setTimeout(3 * MINUTE);

const messages = [{ role: "user", content: "hi" }];

/** A good body for each route that takes JSON. */
const BODIES: Record<string, Record<string, unknown>> = {
  "/v1/chat/completions": { model: "plain-whole", messages },
  "/v1/completions": { model: "plain-whole", prompt: "hi" },
  "/v1/embeddings": { model: "embed-whole", input: "hi" },
  "/v1/rerank": { model: "rerank-whole", query: "hi", documents: ["a"] },
  "/v1/responses": { model: "plain-whole", input: "hi" },
  "/v1/messages": { model: "plain-whole", messages, max_tokens: 5 },
  "/v1/messages/count_tokens": { model: "plain-whole", messages },
};
const paths = Object.keys(BODIES);

/** What a value of an attacker could be, whatever type LiteLLM looks for. */
const VALUES = ["http://canary:8001", 1, true, ["x"], { api_base: "http://canary:8001" }];

/** In groups that run beside each other. */
async function each<T>(items: T[], does: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      for (let item = rest.shift(); item !== undefined; item = rest.shift()) await does(item);
    }),
  );
}

function form(fields: Record<string, string>): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries({ model: "hear-whole", ...fields })) made.append(name, value);
  made.append("file", new Blob(["RIFF"]), "a.wav");
  return made;
}

needs("docker")("a gateway with the real LiteLLM", () => {
  const gateway = new GuardedGateway();
  beforeAll(() => gateway.start({ cache: { ttlSeconds: 600 } }), 3 * MINUTE);
  afterAll(() => gateway.stop());
  beforeEach(() => gateway.forget());

  test("collects garbage again once it serves, without looking through what it imported", async () => {
    const [collects, exempt] = await gateway.python(
      "import gc, guard_install, litellm.proxy.proxy_server; gc.disable(); guard_install.install('/etc/gpubox')",
      "print(gc.isenabled(), gc.get_freeze_count())",
    );
    expect(collects).toBe("True");
    expect(Number(exempt)).toBeGreaterThan(300_000);
  });

  test("makes a model's validator when it is first used, not for the thousand that it imports", async () => {
    const [imported, used, made] = await gateway.python(
      "from litellm.proxy._types import NewTeamRequest as Model",
      "print(Model.__pydantic_complete__)",
      "print(Model(team_alias='a').team_alias)",
      "print(Model.__pydantic_complete__)",
    );
    expect([imported, used, made]).toEqual(["False", "a", "True"]);
  });

  test.each(paths)(
    "refuses each parameter of LiteLLM's own on %s, in the form of its API, and asks nobody",
    async (path) => {
      const wrong: unknown[] = [];
      await each(steeringNames(), async (name) => {
        const answer = await gateway.ask(path, {
          ...BODIES[path],
          [name]: VALUES[name.length % VALUES.length],
        });
        const said = (await answer.json()) as { type?: string; error?: { type?: string; message?: string } };
        const good =
          answer.status === 400 &&
          said.error?.type === "invalid_request_error" &&
          (said.type === "error") === path.startsWith("/v1/messages") &&
          said.error?.message?.includes(name.slice(0, 60)) === true;
        if (!good) wrong.push([name, answer.status, said]);
      });
      expect(wrong).toEqual([]);
      expect(await gateway.seen()).toEqual({ asked: [], canary: [] });
    },
  );

  test("refuses each of them in a form", async () => {
    const wrong: unknown[] = [];
    await each(steeringNames(), async (name) => {
      const answer = await gateway.ask("/v1/audio/transcriptions", form({ [name]: "http://canary:8001" }));
      if (answer.status !== 400) wrong.push([name, answer.status, await answer.text()]);
    });
    expect(wrong).toEqual([]);
    expect(await gateway.seen()).toEqual({ asked: [], canary: [] });
  });

  test("accepts a form with what the API defines", async () => {
    const answer = await gateway.ask("/v1/audio/transcriptions", form({ language: "en", temperature: "0" }));
    expect([answer.status, (await answer.json()) as unknown]).toEqual([
      200,
      expect.objectContaining({ text: "pong 1" }),
    ]);
  });

  test("refuses none of what APIs and engines define", async () => {
    const wrong: unknown[] = [];
    const cases = paths.flatMap((path) =>
      keptIn(path.replace("/v1/", "") as BodyRoute)
        .filter((name) => !Object.hasOwn(BODIES[path]!, name))
        .map((name) => [path, name] as const),
    );
    await each(cases, async ([path, name]) => {
      const answer = await gateway.ask(path, { ...BODIES[path], [name]: null });
      const text = await answer.text();
      if (text.includes("parameter_refused") || text.includes("would steer")) wrong.push([path, name, text]);
    });
    expect(wrong).toEqual([]);
  });

  test("passes on what an engine accepts, and leaves out what nobody defines", async () => {
    const extras = {
      top_k: 7,
      min_p: 0.1,
      chat_template_kwargs: { enable_thinking: false },
      cache_prompt: false,
    };
    await gateway.ask("/v1/chat/completions", {
      ...BODIES["/v1/chat/completions"],
      ...extras,
      colour: "blue",
    });
    const { asked } = await gateway.seen();
    expect(asked.map(({ body }) => body)).toEqual([{ model: "m", messages, stream: false, ...extras }]);
  });

  test("leaves out of metadata each key that LiteLLM obeys, and keeps the client's notes", async () => {
    const { metadata } = guardRules(parseStack(rawStack()));
    const steering = Object.fromEntries(metadata.map((name) => [name, "http://canary:8001"]));
    const body = { ...BODIES["/v1/chat/completions"], store: true };
    const answer = await gateway.ask("/v1/chat/completions", {
      ...{ ...body, metadata: { ...steering, note: "mine", session_id: "s" } },
    });
    expect(answer.status).toBe(200);
    const { asked, canary } = await gateway.seen();
    expect([asked.length, canary]).toEqual([1, []]);
    expect(JSON.stringify(asked)).not.toContain("canary");
  });

  test.each([
    ["a list of models", { model: ["plain-whole", "openai-whole"] }],
    ["models with a comma", { model: "plain-whole,openai-whole" }],
    ["metadata that is a text", { metadata: '{"tags": ["a"]}' }],
    ["a key of the cache", { cache: { cache_key: "x" } }],
    ["a lifetime beyond the cache's", { cache: { ttl: 601 } }],
    ["a namespace with a colon", { cache: { namespace: "spend:key" } }],
    ["a session that is no text", { litellm_session_id: { x: 1 } }],
  ])("refuses %s", async (_, more) => {
    const answer = await gateway.ask("/v1/chat/completions", { ...BODIES["/v1/chat/completions"], ...more });
    expect([answer.status, (await answer.json()) as unknown]).toEqual([
      400,
      { error: expect.objectContaining({ type: "invalid_request_error", code: "parameter_refused" }) },
    ]);
    expect(await gateway.seen()).toEqual({ asked: [], canary: [] });
  });

  test.each([
    ["no JSON", "{", {}],
    ["a list", "[]", {}],
    ["a text", '"x"', {}],
    ["nothing", "", {}],
    ["deep nesting", "[".repeat(100_000), {}],
    [
      "a form where JSON belongs",
      "model=plain-whole&api_base=http://x",
      { "content-type": "application/x-www-form-urlencoded" },
    ],
  ])("answers %s with a 400 in the form of each API", async (_, body, headers) => {
    for (const path of paths) {
      const answer = await gateway.ask(path, body, { headers });
      const said = (await answer.json()) as { type?: string; error?: { type?: string } };
      expect([path, answer.status, said.error?.type, said.type]).toEqual([
        ...[path, 400, "invalid_request_error", path.startsWith("/v1/messages") ? "error" : undefined],
      ]);
    }
  });

  test("obeys no query and no header field of LiteLLM's", async () => {
    const query = "?model=openai-whole&api-version=1&custom_llm_provider=oobabooga";
    const headers = {
      "x-litellm-timeout": "0.0001",
      "x-litellm-num-retries": "9",
      "x-litellm-disable-callbacks": "gpubox_trajectory",
      "x-pass-authorization": "Bearer x",
    };
    // New in the cache.
    const body = { model: "plain-whole", messages: [{ role: "user", content: "by header fields" }] };
    const answer = await gateway.ask(`/v1/chat/completions${query}`, body, { headers });
    const { asked } = await gateway.seen();
    expect([answer.status, asked.map(({ path }) => path)]).toEqual([200, ["/whole/v1/chat/completions"]]);
    expect(JSON.stringify(asked)).not.toContain("Bearer x");
  });

  test("accepts no body that refers to an answer which a server keeps", async () => {
    const answer = await gateway.ask("/v1/responses/resp_x/cancel", { custom_llm_provider: "oobabooga" });
    expect([answer.status, (await answer.json()) as unknown]).toEqual([
      400,
      { error: expect.objectContaining({ message: "This route takes no body." }) },
    ]);
  });

  test.each(["/v1/responses?model=plain-whole", "/v1/realtime?model=plain-whole", "/anything"])(
    "opens no websocket at %s",
    async (path) => {
      const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
      const headers = {
        ...upgrade,
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        authorization: "Bearer sk-a1",
      };
      const status = await new Promise((resolve, reject) => {
        const asked = request(`${gateway.url}${path}`, { headers });
        asked.on("upgrade", (_, socket) => resolve(socket.destroy() && "open"));
        asked.on("response", (answer) => resolve(answer.resume().statusCode));
        asked.on("error", reject);
        asked.end();
      });
      expect(status).toBe(403);
    },
  );

  test("every name that it refuses is one that LiteLLM declares or reads", () => {
    const known = [...litellm.own, ...litellm.read];
    expect(steeringNames().filter((name) => !known.includes(name))).toEqual([]);
    expect(steeringNames().length).toBeGreaterThan(500);
  });
});
