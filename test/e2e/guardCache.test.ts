import { GuardedGateway } from "../support/guardedGateway";
import { needs } from "../support/needs";

const MINUTE = 60_000;
jest.setTimeout(2 * MINUTE);

const messages = (text: string) => [{ role: "user", content: text }];
const CASES: [string, (text: string) => object | FormData][] = [
  ["/v1/chat/completions", (text) => ({ model: "plain-whole", messages: messages(text) })],
  ["/v1/completions", (text) => ({ model: "plain-whole", prompt: text })],
  ["/v1/embeddings", (text) => ({ model: "embed-whole", input: text })],
  ["/v1/rerank", (text) => ({ model: "rerank-whole", query: text, documents: ["a"] })],
  ["/v1/responses", (text) => ({ model: "openai-whole", input: text })],
  ["/v1/messages", (text) => ({ model: "plain-whole", messages: messages(text), max_tokens: 5 })],
];

needs("docker")("answers in the cache", () => {
  describe.each([
    ["key", { shared: ["sk-a1"], apart: ["sk-a2", "sk-b1", "sk-c1"] }],
    ["team", { shared: ["sk-a1", "sk-a2"], apart: ["sk-b1", "sk-c1"] }],
    ["all", { shared: ["sk-a1", "sk-a2", "sk-b1", "sk-c1"], apart: [] as string[] }],
  ])("of one %s", (scope, { shared, apart }) => {
    const gateway = new GuardedGateway();
    beforeAll(() => gateway.start({ cache: { ttlSeconds: 600, scope } }), 3 * MINUTE);
    afterAll(() => gateway.stop());

    async function asked(path: string, body: object | FormData, key: string): Promise<number> {
      const before = (await gateway.seen()).asked.length;
      const answer = await gateway.ask(path, body, { key });
      await answer.text();
      expect(answer.status).toBe(200);
      return (await gateway.seen()).asked.length - before;
    }

    test.each(CASES)("are its own on %s", async (path, body) => {
      const text = `${scope} ${path}`;
      expect(await asked(path, body(text), "sk-a1")).toBe(1);
      // LiteLLM writes an answer into the cache after it has given it. What it does not cache is safe too.
      const until = Date.now() + 5_000;
      let again = await asked(path, body(text), "sk-a1");
      while (again > 0 && Date.now() < until) again = await asked(path, body(text), "sk-a1");
      expect(again).toBe(0);
      for (const key of apart) expect([key, await asked(path, body(text), key)]).toEqual([key, 1]);
      for (const key of shared) expect([key, await asked(path, body(text), key)]).toEqual([key, 0]);
    });

    test("differ by the client's own namespace within it", async () => {
      const body = (namespace: string) => ({
        ...{ model: "plain-whole", messages: messages(`namespaces of ${scope}`) },
        cache: { namespace },
      });
      expect(await asked("/v1/chat/completions", body("x"), "sk-a1")).toBe(1);
      expect(await asked("/v1/chat/completions", body("y"), "sk-a1")).toBe(1);
    });
  });
});
