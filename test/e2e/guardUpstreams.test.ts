import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { allowance } from "../support/allowance";
import { GuardedGateway } from "../support/guardedGateway";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
jest.setTimeout(3 * MINUTE);

const messages = [{ role: "user" as const, content: "hi" }];
const asked = {
  "/v1/chat/completions": (model: string) => ({ model, messages }),
  "/v1/completions": (model: string) => ({ model, prompt: "hi" }),
  "/v1/messages": (model: string) => ({ model, messages, max_tokens: 5 }),
  "/v1/responses": (model: string) => ({ model, input: "hi" }),
  "/v1/embeddings": (model: string) => ({ model, input: "hi" }),
  "/v1/rerank": (model: string) => ({ model, query: "hi", documents: ["a"] }),
};
type Path = keyof typeof asked;

/** Route to the providers that serve it. */
const STREAMED: Partial<Record<Path, string[]>> = {
  "/v1/chat/completions": ["plain", "openai", "anthropic"],
  "/v1/completions": ["plain", "openai"],
  "/v1/messages": ["plain", "native", "openai", "anthropic"],
  "/v1/responses": ["plain", "openai"],
};
const ASKED: Partial<Record<Path, string[]>> = {
  ...STREAMED,
  "/v1/chat/completions": ["plain", "openai", "anthropic", "aiohttp"],
  "/v1/embeddings": ["embed"],
  "/v1/rerank": ["rerank"],
};
const pairs = (routes: Partial<Record<Path, string[]>>) =>
  Object.entries(routes).flatMap(([path, providers]) => providers.map((one) => [path as Path, one] as const));

needs("docker")("a gateway with the real LiteLLM, before a server that breaks its word", () => {
  const gateway = new GuardedGateway();
  beforeAll(() => gateway.start(), 3 * MINUTE);
  afterAll(() => gateway.stop());

  async function stream(path: Path, model: string): Promise<string> {
    const answer = await gateway.ask(path, { ...asked[path](model), stream: true });
    return answer.text();
  }

  describe.each(["redirect301", "redirect302", "redirect303", "redirect307", "redirect308"])("%s", (way) => {
    beforeAll(() => gateway.forget());

    test.each(pairs(ASKED))("of %s by %s is an error and leads nowhere", async (path, provider) => {
      for (const more of Object.hasOwn(STREAMED, path) ? [{}, { stream: true }] : [{}]) {
        const answer = await gateway.ask(path, { ...asked[path](`${provider}-${way}`), ...more });
        const said = (await answer.json()) as { type?: string; error?: { message?: string } };
        expect([502, 500]).toContain(answer.status);
        expect(said.error?.message).toContain("the server answered with a redirect, which is not followed");
        expect(said.type === "error").toBe(path === "/v1/messages");
        expect(JSON.stringify(said)).not.toContain("8001");
      }
    });

    test("has sent no request to the canary", async () => {
      const { asked: first, canary } = await gateway.seen();
      expect(canary).toEqual([]);
      expect(first.length).toBeGreaterThan(10);
    });
  });

  describe.each(["cut", "line"])("a stream that is %s", (way) => {
    test.each(pairs(STREAMED))("of %s by %s looks truncated", async (path, provider) => {
      const text = await stream(path, `${provider}-${way}`);
      expect(text).toMatch(/one/);
      expect(text).not.toContain('"finish_reason":"stop"');
      expect(text).not.toContain("message_stop");
      expect(text).not.toContain('"type":"response.completed"');
      // LiteLLM closes a failed response so; its clients go by the event before.
      if (path !== "/v1/responses") expect(text).not.toContain("[DONE]");
      const last = text
        .trim()
        .split("\n\n")
        .filter((event) => !event.includes("[DONE]"))
        .at(-1)!;
      expect(last).toMatch(
        {
          "/v1/messages": /^event: error\ndata: \{"type": ?"error"/,
          "/v1/responses": /^event: (response\.failed|error)\n/,
        }[path as string] ?? /^data: \{"error"/,
      );
    });
  });

  // With a finish_reason and no [DONE], as some servers end; with [DONE] and no finish_reason, as others do.
  describe.each(["whole", "undone", "bare"])("a stream that is %s", (way) => {
    test.each(pairs(way === "bare" ? { "/v1/chat/completions": ["plain", "openai"] } : STREAMED))(
      "of %s by %s is passed on as complete",
      async (path, provider) => {
        const text = await stream(path, `${provider}-${way}`);
        const end =
          { "/v1/messages": '"message_stop"', "/v1/responses": "response.completed" }[path as string] ??
          "[DONE]";
        expect(text).toContain(end);
        expect(text).not.toContain("error");
      },
    );
  });

  describe("a count of tokens", () => {
    const question = {
      messages,
      system: "Be brief.",
      tools: [{ name: "t", input_schema: { type: "object" } }],
    };
    const count = async (model: string) => {
      await gateway.forget();
      const answer = await gateway.ask("/v1/messages/count_tokens", { model, ...question });
      expect(answer.status).toBe(200);
      return ((await answer.json()) as { input_tokens: number }).input_tokens;
    };
    const counted = async () =>
      (await gateway.seen()).asked.filter(({ path }) => path.endsWith("/count_tokens"));

    test.each([
      ["native-whole", "m", "/whole/v1/messages/count_tokens", "Bearer none"],
      ["near", "near", "/v1/messages/count_tokens", expect.stringMatching(/^Bearer [0-9a-f]{64}$/)],
    ])("is that of the server itself: %s", async (model, name, path, authorization) => {
      expect(await count(model)).toBe(4711);
      const [seen, ...more] = await counted();
      expect([seen?.path, seen?.headers.authorization, more]).toEqual([path, authorization, []]);
      expect(seen?.body).toEqual({ model: name, ...question });
    });

    test("is LiteLLM's estimate where the server has no such route", async () => {
      expect(await count("plain-whole")).toBeLessThan(100);
      expect(await counted()).toEqual([]);
    });

    test.each(["redirect307", "silent"])("is the estimate, soon, where the server is %s", async (way) => {
      const began = Date.now();
      const tokens = await count(`native-${way}`);
      expect([tokens > 0, tokens < 100, Date.now() - began < 10_000]).toEqual([true, true, true]);
      expect(await counted()).toHaveLength(1);
      expect((await gateway.seen()).canary).toEqual([]);
    });
  });

  describe("a client that hangs up before the first byte", () => {
    beforeEach(() => gateway.forget());

    const cases = [
      // LiteLLM looks for no disconnect while it ranks.
      ...pairs(ASKED)
        .filter(([path]) => path !== "/v1/rerank")
        .map((pair) => [...pair, "silent", {}] as const),
      ...["silent", "hesitant"].flatMap((way) =>
        pairs(STREAMED).map((pair) => [...pair, way, { stream: true }] as const),
      ),
    ];
    test.each(cases)(
      "at %s by %s, where the server is %s, frees it: %j",
      async (path, provider, way, more) => {
        const client = new AbortController();
        const body = { ...asked[path](`${provider}-${way}`), ...more };
        const answer = gateway.ask(path, body, { signal: client.signal });
        answer.catch(() => undefined);
        await until("the server is asked", async () => (await gateway.seen()).asked.length === 1, {
          seconds: 60,
        });
        const hungUp = Date.now();
        client.abort();
        await until("the server is left", async () => (await gateway.left()).length === 1, {
          seconds: 60,
          everyMs: 20,
        });
        expect(Date.now() - hungUp).toBeLessThan(allowance(1_000));
      },
    );
  });

  describe.each(["plain", "openai", "anthropic"])("the SDKs, by %s", (provider) => {
    const openai = () => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "sk-a1", maxRetries: 0 });
    const anthropic = () => new Anthropic({ baseURL: gateway.url, apiKey: "sk-a1", maxRetries: 0 });

    async function chat(way: string): Promise<string> {
      const chunks = await openai().chat.completions.create({
        model: `${provider}-${way}`,
        messages,
        stream: true,
      });
      let text = "";
      for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? "";
      return text;
    }

    test("read a complete answer and fail on a truncated one", async () => {
      await expect(chat("whole")).resolves.toBe("one two");
      await expect(chat("cut")).rejects.toThrow(OpenAI.APIError);
      const message = (way: string) =>
        anthropic()
          .messages.stream({ model: `${provider}-${way}`, messages, max_tokens: 5 })
          .finalMessage();
      await expect(message("whole")).resolves.toMatchObject({ stop_reason: "end_turn" });
      await expect(message("cut")).rejects.toThrow(Anthropic.APIError);
    });
  });
});
