import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { containersOf, exportsIn, inShell } from "../support/box";
import { needs, testNeeds } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { pythonWithSdks } from "../support/pythonSdks";
import { type Stub, startStub, stubModel, stubUrl } from "../support/stub";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("route");

interface Answer {
  status: number;
  text: string;
  json: Record<string, never>;
  headers: Headers;
}

/** Cost of an answer of the stub: 1000 tokens in and 1000 out, at a dollar for a thousand. */
const price = { inputPerMillion: 1000, outputPerMillion: 1000 };

needs("docker", "pulumi")("two gateways and their Redis", () => {
  let project: TestProject;
  let stub: Stub;
  let key: string;
  let admin: string;
  /** One of the two containers. */
  let gateway: string;
  /** So that no answer of an earlier question is in the cache. */
  let asked = 0;

  const model = (server: string, more: Record<string, unknown> = {}) => stubModel(STACK, server, more);

  async function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const answer = await fetch(`${project.endpoint}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    const json = answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
    return { status: answer.status, text, json, headers: answer.headers };
  }

  const thinking = (on: boolean) => ({ chat_template_kwargs: { enable_thinking: on } });
  const chat = (name: string, text: string, more: Record<string, unknown> = {}) =>
    post("/v1/chat/completions", { model: name, messages: [{ role: "user", content: text }], ...more });
  /** A question that nobody asked before. */
  const fresh = (text = "question") => `${text} ${asked++}`;
  const together = <T>(count: number, one: () => Promise<T>) =>
    Promise.all(Array.from({ length: count }, one));
  const requests = async (server: string) => (await stub.seen())[server]?.requests ?? 0;

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      gateway: {
        port: PORT,
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
          instances: [{ baseUrl: stubUrl(STACK, "pair-1") }, { baseUrl: stubUrl(STACK, "pair-2") }],
        },
        kept: {
          engine: "openai",
          start: "manual",
          instances: [{ baseUrl: stubUrl(STACK, "kept-1") }, { baseUrl: stubUrl(STACK, "kept-2") }],
        },
        shaky: model("shaky", { aliases: ["shaky-alias"] }),
        safe: model("safe"),
        brittle: model("brittle"),
        capped: model("capped", { price, budget: { usd: 3, per: "1d" } }),
        paid: {
          engine: "cloud",
          model: "groq/paid",
          apiBase: stubUrl(STACK, "paid"),
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
            { name: "big", baseUrl: stubUrl(STACK, "apart-1"), model: "served/big" },
            { name: "small", baseUrl: stubUrl(STACK, "apart-2"), model: "small:4b", provider: "openai" },
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
    });
    admin = `http://127.0.0.1:${PORT + 1}`;
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    const show = `pulumi config get gpubox:masterKey --stack ${STACK}`;
    key = (await inShell(project, exportsIn(up.stdout), show)).stdout.trim();
    const gateways = Object.entries(await containersOf(STACK)).filter(([role]) => role.startsWith("gateway"));
    gateway = gateways[0]![1];
    stub = await startStub(project, gateway);
  }, 15 * MINUTE);
  afterAll(() => removeProject(project));
  beforeEach(() => stub.forget());

  describe("the cache", () => {
    test("answers a repeated request, whichever gateway it reaches", async () => {
      const text = fresh();
      const first = await chat("plain", text);
      expect(first.status).toBe(200);
      // Written behind the answer.
      await eventually(async () => {
        const again = await chat("plain", text);
        return again.text === first.text && again.headers.has("x-litellm-cache-key");
      });
      await stub.forget();
      const again = await together(6, () => chat("plain", text));
      expect(again.map((one) => one.text)).toEqual(Array(6).fill(first.text));
      expect(await requests("plain")).toBe(0);
    });

    test.each([
      ["another prompt", (text: string) => chat("plain", `${text}!`)],
      ["another model", (text: string) => chat("safe", text)],
      ["another parameter", (text: string) => chat("plain", text, { temperature: 0.5 })],
      ["a parameter that not every server has", (text: string) => chat("plain", text, { top_k: 5 })],
      [
        "a parameter that LiteLLM does not know",
        (text: string) => chat("plain", text, { chat_template_kwargs: { enable_thinking: false } }),
      ],
      ["another namespace", (text: string) => chat("plain", text, { cache: { namespace: "team-b" } })],
      ["a wish for a new answer", (text: string) => chat("plain", text, { cache: { "no-cache": true } })],
    ])("does not answer %s", async (_, other) => {
      const text = fresh();
      await cached(text);
      await stub.forget();
      expect((await other(text)).status).toBe(200);
      expect((await requests("plain")) + (await requests("safe"))).toBe(1);
    });

    /** Asks until the answer comes from the cache. */
    async function cached(text: string): Promise<void> {
      await eventually(async () => (await chat("plain", text)).headers.has("x-litellm-cache-key"));
    }
  });

  describe("limits", () => {
    test("6 requests a minute are 6, whichever gateway they reach; tokens a minute end once they are used up", async () => {
      await freshMinute();
      // 2000 tokens each.
      expect((await chat("wordy", fresh())).status).toBe(200);
      const answers = await together(14, () => chat("limited", fresh()));
      const passed = answers.filter(({ status }) => status === 200);
      expect(answers.map(({ status }) => status).sort()).toEqual([
        ...Array(6).fill(200),
        ...Array(8).fill(429),
      ]);
      expect(await requests("limited")).toBe(6);
      expect(new Set(passed.map(({ headers }) => headers.get("x-litellm-model-id")))).toEqual(
        new Set(["limited"]),
      );
      await eventually(async () => (await chat("wordy", fresh())).status === 429);
      expect(await requests("wordy")).toBe(2);
    });

    test("4 requests at a time are never more, however many come", async () => {
      const answers = await together(12, () => chat("narrow", fresh("sleep 3")));
      const statuses = answers.map(({ status }) => status);
      expect([...new Set(statuses)].sort()).toEqual([200, 429]);
      const { most } = (await stub.seen()).narrow!;
      expect(most).toBeLessThanOrEqual(4);
      expect(most).toBeGreaterThanOrEqual(2);
    });

    test("a provider's budget stops its spending", async () => {
      const first = await chat("paid", fresh());
      expect([first.status, first.text]).toEqual([200, expect.stringContaining("said by paid")]);
      // Each gateway learns from Redis what the other one has spent, a moment later.
      await eventually(async () => {
        await stub.forget();
        const refused = await together(4, () => chat("paid", fresh()));
        return refused.every(({ status }) => status === 429);
      });
      const refused = await together(4, () => chat("paid", fresh()));
      expect(refused.map(({ status }) => status)).toEqual(Array(4).fill(429));
      expect(refused[0]!.text).toContain("Exceeded budget for provider groq");
      expect(await requests("paid")).toBe(0);
    });

    test("a model's budget stops its spending, and no other model's", async () => {
      await eventually(async () => {
        await stub.forget();
        const refused = await together(4, () => chat("capped", fresh()));
        return refused.every(({ status }) => status === 429);
      });
      expect((await chat("capped", fresh())).text).toContain("Exceeded budget for deployment");
      expect(await requests("capped")).toBe(0);
      expect((await chat("plain", fresh())).status).toBe(200);
    });
  });

  describe("routing", () => {
    test("least-busy prefers the idle instance", async () => {
      const long = chat("pair", fresh("sleep 8"));
      let busy = "";
      await eventually(async () => {
        busy = Object.keys(await stub.seen())[0] ?? "";
        return busy !== "";
      });
      const idle = busy === "pair-1" ? "pair-2" : "pair-1";
      for (let asked = 0; asked < 6; asked++) expect((await chat("pair", fresh())).status).toBe(200);
      expect([await requests(busy), await requests(idle)]).toEqual([1, 6]);
      expect((await long).status).toBe(200);
    });

    test.each(["shaky", "shaky-alias"])("the declared fallback answers a failure of %s", async (name) => {
      // The stub fails by a word that only shaky is told: the fallback gets the same question.
      const { status, json } = await chat(name, fresh("only shaky: status 500"));
      expect([status, json]).toMatchObject([200, { choices: [{ message: { content: "said by safe" } }] }]);
      expect([await requests("shaky"), await requests("safe")]).toEqual([1, 1]);
    });

    test("without a fallback the client gets the failure at once and nobody else is asked", async () => {
      const { status, text } = await chat("brittle", fresh("status 500"));
      expect(status).toBe(500);
      expect(text).toContain("brittle was told so");
      const seen = await stub.seen();
      expect(Object.entries(seen).map(([name, { requests }]) => [name, requests])).toEqual([["brittle", 1]]);
    });

    test.each([404, 401, 500])(
      "a request that its server refuses with %i blocks the model for nobody else",
      async (code) => {
        const refused = await together(4, () => chat("brittle", fresh(`status ${code}`)));
        expect(refused.map(({ status }) => status)).toEqual(Array(4).fill(code));
        const others = await together(6, () => chat("brittle", fresh()));
        expect(others.map(({ status }) => status)).toEqual(Array(6).fill(200));
      },
    );

    test("prices are in /model/info", async () => {
      const answer = await fetch(`${admin}/model/info`, { headers: { authorization: `Bearer ${key}` } });
      const { data } = (await answer.json()) as {
        data: { model_name: string; model_info: Record<string, unknown> }[];
      };
      const prices = Object.fromEntries(
        data.map((one) => [
          one.model_name,
          [one.model_info.input_cost_per_token, one.model_info.output_cost_per_token],
        ]),
      );
      expect(prices).toMatchObject({ plain: [1.5e-7, 6e-7], capped: [0.001, 0.001], paid: [0.001, 0.001] });
    });
  });

  describe("a conversation", () => {
    /** The server that answers a conversation's next question. Each of its questions is a new one, so that no cache answers. */
    async function said(first: string, ...more: string[]): Promise<string> {
      const messages = [
        { role: "system", content: "Be brief." },
        { role: "user", content: first },
        ...more.flatMap((text) => [
          { role: "assistant", content: "said" },
          { role: "user", content: text },
        ]),
      ];
      return servedBy(await post("/v1/chat/completions", { model: "kept", messages }));
    }

    const servedBy = ({ status, text }: Answer) => `${status} ${/said by ([\w-]+)/.exec(text)?.[1] ?? text}`;
    const other = (server: string) => (server === "200 kept-1" ? "200 kept-2" : "200 kept-1");

    test("stays with one server, whichever gateway it reaches", async () => {
      const first = fresh();
      const servers = [await said(first)];
      // The edge takes its gateways in turn.
      for (const more of Array.from({ length: 7 }, () => fresh())) servers.push(await said(first, more));
      expect(servers).toEqual(Array(8).fill(servers[0]));
    });

    test("that its client names stays with one server, by each protocol, however much it asks at a time", async () => {
      const named = { "x-claude-code-session-id": crypto.randomUUID() };
      const asks = await together(8, () => {
        const messages = [{ role: "user", content: fresh("sleep 1") }];
        return post("/v1/chat/completions", { model: "kept", messages }, named);
      });
      const messages = [{ role: "user", content: fresh() }];
      const body = { model: "kept", max_tokens: 9, messages };
      const servers = [...asks, await post("/v1/messages", body, named)].map(servedBy);
      expect(servers).toEqual(Array(9).fill(servers[0]));
    });

    test("begins at the server that has the least to do, and both go on where they began", async () => {
      const first = fresh("sleep 3");
      const long = said(first);
      await eventually(async () => Object.keys(await stub.seen()).length === 1);
      const second = fresh();
      const idle = await said(second);
      const busy = await long;
      expect(idle).toBe(other(busy));
      expect([await said(first, fresh()), await said(second, fresh())]).toEqual([busy, idle]);
    });

    test("is answered by the other server when its own fails, and goes on there", async () => {
      const first = fresh();
      const own = await said(first);
      await stub.forget();
      const servers = [
        await said(first, fresh(`only ${own.slice(4)}: status 500`)),
        await said(first, fresh()),
      ];
      expect(servers).toEqual(Array(2).fill(other(own)));
      expect([await requests(own.slice(4)), await requests(other(own).slice(4))]).toEqual([1, 2]);
    });

    test("is not what many samples of one prompt are: they go to both servers", async () => {
      const prompt = fresh("sleep 1");
      const servers = await together(8, () => said(prompt));
      expect(new Set(servers)).toEqual(new Set(["200 kept-1", "200 kept-2"]));
    });
  });

  describe("what an entry says in LiteLLM's own words", () => {
    test("two names over one server send it different bodies, by each protocol", async () => {
      for (const [name, on] of [
        ["thinks", true],
        ["quick", false],
      ] as const) {
        expect((await chat(name, fresh())).status).toBe(200);
        expect((await stub.seen()).shared!.last).toMatchObject(thinking(on));
        const messages = [{ role: "user", content: fresh() }];
        expect((await post("/v1/messages", { model: name, max_tokens: 9, messages })).status).toBe(200);
        expect((await stub.seen()).shared!.last).toMatchObject(thinking(on));
      }
    });

    test("samplers, limits, dropped parameters and header fields arrive; a client's own word goes before", async () => {
      expect((await chat("quick", fresh(), { user: "somebody", top_k: 5 })).status).toBe(200);
      const { last, headers } = (await stub.seen()).shared!;
      expect(last).toMatchObject({ temperature: 0.25, top_k: 5, max_tokens: 77 });
      expect(last).not.toHaveProperty("user");
      expect(headers).toMatchObject({ "x-team": "red" });
    });

    test("a name for many sends what the client wrote, or one model, and never what leads elsewhere", async () => {
      expect((await chat("lab/org/some.model:7b", fresh())).text).toContain("said by many");
      const messages = [{ role: "user", content: fresh() }];
      expect((await post("/v1/messages", { model: "lab/x", max_tokens: 9, messages })).text).toContain(
        "said by many",
      );
      expect((await chat("claude-nobody-declared", fresh())).text).toContain("said by any-claude");
      const seen = await stub.seen();
      expect([seen.many!.models, seen["any-claude"]!.models]).toEqual([
        ["org/some.model:7b", "x"],
        ["one-model"],
      ]);
      for (const name of ["lab/../../x", "lab/https://evil.example", "lab/x?y", "other/x"])
        expect([name, (await chat(name, fresh())).status]).toEqual([name, 400]);
      expect((await stub.seen()).many!.requests).toBe(2);
    });

    test("a name with a variant's characters answers by each protocol, and so do its aliases; twins answer apart", async () => {
      for (const name of ["claude-x[1m]", "m@q4", "a+b"]) {
        expect((await chat(name, fresh())).text).toContain("said by variant");
        const messages = [{ role: "user", content: fresh() }];
        const answer = await post("/v1/messages", { model: name, max_tokens: 9, messages });
        expect(answer.json).toMatchObject({ content: [{ text: "said by variant" }] });
      }
      expect((await stub.seen()).variant!.models).toEqual(Array(6).fill("claude-x[1m]"));
      expect((await chat("twin.a", fresh())).text).toContain("said by twin-dot");
      expect((await chat("twin-a", fresh())).text).toContain("said by twin-dash");
    });

    test("one name over two servers asks each by the name that it knows", async () => {
      const answers = await together(8, () => chat("apart", fresh("sleep 2")));
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      const seen = await stub.seen();
      expect([new Set(seen["apart-1"]!.models), new Set(seen["apart-2"]!.models)]).toEqual([
        new Set(["served/big"]),
        new Set(["small:4b"]),
      ]);
    });
  });

  describe("the routes of the pinned LiteLLM", () => {
    /** `METHOD /path` of every route that its OpenAPI names, with `x` for each parameter. */
    let routes: { method: string; path: string }[];

    beforeAll(async () => {
      const answer = await fetch(`${admin}/openapi.json`, { headers: { authorization: `Bearer ${key}` } });
      const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> };
      routes = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods)
          .filter((method) => ["get", "post", "put", "patch", "delete"].includes(method))
          .map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{[^}]*\}/g, "x") })),
      );
      expect(routes.length).toBeGreaterThan(500);
    });

    const CLOSED =
      /This port serves inference only\.|No model here answers this route[:.]|This route is closed\./;
    const OPEN =
      /^(\/v1)?\/(chat\/completions|completions|embeddings|messages(\/count_tokens)?|models(\/x)?|responses(\/.*)?|rerank|audio\/(transcriptions|speech))$|^\/health\/(liveliness|readiness)$/;

    /** Status of each route, and whether the edge closed it. In small groups: it is one process. */
    async function statuses(base: string, theirs: typeof routes, headers: Record<string, string>) {
      const found: { route: string; status: number; closed: boolean }[] = [];
      for (let start = 0; start < theirs.length; start += 16)
        found.push(
          ...(await Promise.all(
            theirs.slice(start, start + 16).map(async ({ method, path }) => {
              const body = method === "GET" ? undefined : "{}";
              const answer = await fetch(base + path, {
                ...{ method, body, redirect: "manual" as const },
                headers: { "content-type": "application/json", ...headers },
              });
              const text = await answer.text();
              return { route: `${method} ${path}`, status: answer.status, closed: CLOSED.test(text) };
            }),
          )),
        );
      return found;
    }

    test(
      "are closed to clients except for inference, even with the master key",
      async () => {
        const outside = routes.filter(({ path }) => !OPEN.test(path));
        const found = await statuses(project.endpoint, outside, { authorization: `Bearer ${key}` });
        expect(found.filter(({ closed, status }) => !closed || status !== 404)).toEqual([]);
        const inside = routes.filter(({ path }) => OPEN.test(path));
        expect(inside.map(({ path }) => path)).toEqual(
          expect.arrayContaining(["/v1/messages", "/v1/rerank"]),
        );
        expect((await statuses(project.endpoint, inside, {})).filter(({ closed }) => closed)).toEqual([]);
      },
      2 * MINUTE,
    );

    test(
      "are not called admin routes where LiteLLM counts them to a model's API",
      async () => {
        // Its text, because an import of LiteLLM takes ten seconds.
        const script = [
          "import ast, importlib.util, json",
          "folder = importlib.util.find_spec('litellm').submodule_search_locations[0]",
          "text = ast.parse(open(f'{folder}/proxy/_types.py').read())",
          "routes = next(one for one in text.body if getattr(one, 'name', '') == 'LiteLLMRoutes')",
          "names = 'openai_routes', 'anthropic_routes', 'google_routes', 'mapped_pass_through_routes'",
          "lists = [one.value for one in routes.body if isinstance(one, ast.Assign) and one.targets[0].id in names]",
          "print(json.dumps([ast.literal_eval(one) for one in lists]))",
        ];
        const lists: string[][] = JSON.parse(
          await output("docker", ["exec", gateway, "python3", "-c", script.join("\n")]),
        );
        expect(lists).toHaveLength(4);
        const paths = lists
          .flat()
          .map((path) => path.replace(/\?.*$/, "").replaceAll(/\{[^}]*\}|\*/g, "x"))
          .filter((path) => !OPEN.test(path));
        expect(paths.length).toBeGreaterThan(150);
        const answers: string[] = [];
        for (const path of paths) answers.push(`${path} ${(await post(path, {})).text}`);
        expect(
          answers.filter((one) => !/No model here answers this route|This route is closed\./.test(one)),
        ).toEqual([]);
      },
      2 * MINUTE,
    );

    test(
      "answer 401 to a wrong key, on the clients' port and on the admin port",
      async () => {
        const wrong = { authorization: "Bearer sk-wrong-0123456789abcdef" };
        const inference = routes.filter(({ path }) => OPEN.test(path) && !path.startsWith("/health/"));
        const clients = await statuses(project.endpoint, inference, wrong);
        expect(clients.filter(({ status }) => status !== 401)).toEqual([]);
        const all = await statuses(admin, routes, wrong);
        const others = all.filter(({ status }) => status !== 401);
        // The edge serves that route to nobody.
        expect(others.map(({ route, status }) => [route, status])).toEqual([["GET /health/drain", 404]]);
      },
      3 * MINUTE,
    );

    test.each([
      ["/v1/completions", "text", { prompt: "x" }, { choices: [{ text: "said by text" }] }],
      ["/v1/embeddings", "embed", { input: "x" }, { data: [{ embedding: [0.25, 0.5] }] }],
      ["/v1/rerank", "ranks", { query: "x", documents: ["y"] }, { results: [{ relevance_score: 0.5 }] }],
      [
        "/v1/messages",
        "plain",
        { max_tokens: 9, messages: [{ role: "user", content: "x" }] },
        { content: [{ text: "said by plain" }] },
      ],
      [
        "/v1/responses",
        "plain",
        { input: "x" },
        { output: [{ content: [{ type: "output_text", text: "said by plain" }] }] },
      ],
      [
        "/v1/messages/count_tokens",
        "plain",
        { messages: [{ role: "user", content: "x" }] },
        { input_tokens: expect.any(Number) },
      ],
    ])("serve %s", async (path, name, body, expected) => {
      const { status, json } = await post(path, { model: name, ...body });
      expect([status, json]).toMatchObject([200, expected]);
    });

    test("serve audio where a model is declared for it", async () => {
      const form = new FormData();
      form.append("model", "hears");
      form.append("file", new Blob(["RIFF"], { type: "audio/wav" }), "x.wav");
      const heard = await fetch(`${project.endpoint}/v1/audio/transcriptions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}` },
        body: form,
      });
      expect([heard.status, await heard.json()]).toMatchObject([200, { text: "heard by hears" }]);
      const spoken = await post("/v1/audio/speech", { model: "speaks", input: "x", voice: "alloy" });
      expect([spoken.status, spoken.text]).toEqual([200, "spoken"]);
    });
  });

  describe("the official SDKs", () => {
    test("openai in TypeScript: whole, streamed, with an own parameter, with a wrong key", async () => {
      const client = new OpenAI({ baseURL: `${project.endpoint}/v1`, apiKey: key, maxRetries: 0 });
      const messages = [{ role: "user" as const, content: fresh() }];
      const body = { model: "plain", messages, top_k: 7, prompt_cache_key: "session-1" };
      const whole = await client.chat.completions.create(body);
      expect(whole.choices[0]!.message.content).toBe("said by plain");
      expect((await stub.seen()).plain!.last).toMatchObject({ top_k: 7 });
      let text = "";
      for await (const chunk of await client.chat.completions.create({
        model: "plain",
        messages,
        stream: true,
      }))
        text += chunk.choices[0]?.delta.content ?? "";
      expect(text).toBe("said by plain");
      const stranger = new OpenAI({ baseURL: `${project.endpoint}/v1`, apiKey: "sk-wrong", maxRetries: 0 });
      await expect(stranger.models.list()).rejects.toMatchObject({ status: 401 });
    });

    test("anthropic in TypeScript: whole, streamed, with prompt caching, counting, with a wrong key", async () => {
      const client = new Anthropic({ baseURL: project.endpoint, apiKey: key, maxRetries: 0 });
      const question = {
        model: "plain",
        max_tokens: 32,
        system: [{ type: "text" as const, text: "Be brief.", cache_control: { type: "ephemeral" as const } }],
        messages: [{ role: "user" as const, content: fresh() }],
      };
      const whole = await client.messages.create(question);
      expect(whole.content).toMatchObject([{ type: "text", text: "said by plain" }]);
      expect(whole.usage.output_tokens).toBe(1000);
      expect(await client.messages.stream(question).finalText()).toBe("said by plain");
      const { model, messages } = question;
      expect((await client.messages.countTokens({ model, messages })).input_tokens).toBeGreaterThan(0);
      const stranger = new Anthropic({ baseURL: project.endpoint, apiKey: "sk-wrong", maxRetries: 0 });
      await expect(stranger.messages.create(question)).rejects.toMatchObject({ status: 401 });
    });

    testNeeds("python3 with venv")(
      "openai and anthropic in Python: the same",
      async () => {
        const python = await pythonWithSdks();
        const { code, stdout, stderr } = await run(
          python,
          ["test/support/sdk.py", project.endpoint, "plain"],
          {
            cwd: project.dir,
            env: { GPUBOX_KEY: key },
            timeoutMs: 120_000,
          },
        );
        expect([code, stderr]).toEqual([0, ""]);
        expect(JSON.parse(stdout)).toEqual({
          openai: "said by plain",
          openai_stream: "said by plain",
          openai_models: expect.arrayContaining(["plain", "shaky-alias"]),
          openai_embedding: [0.25, 0.5],
          openai_wrong_key: 401,
          anthropic: "said by plain",
          anthropic_usage: 1000,
          anthropic_stream: "said by plain",
          anthropic_tokens: true,
          anthropic_wrong_key: 401,
        });
      },
      5 * MINUTE,
    );
  });
});

/** Asks again until it is so, for half a minute. */
const eventually = (check: () => Promise<boolean>) => until(`${check}`, check);

/** LiteLLM counts by the minute of the clock: what begins late in one would be counted in two. */
async function freshMinute(): Promise<void> {
  const left = 60_000 - (Date.now() % 60_000);
  if (left < 20_000) await pause(left + 500, "a new minute of the clock");
}
