import { eventually, type RoutedBox, together } from "./box";

/** Which requests the cache answers. */
export function cacheStories(box: RoutedBox): void {
  describe("the cache", () => {
    test("answers a repeated request, whichever gateway it reaches", async () => {
      const text = box.fresh();
      const first = await box.chat("plain", text);
      expect(first.status).toBe(200);
      // Written behind the answer.
      await eventually(async () => {
        const again = await box.chat("plain", text);
        return again.text === first.text && again.headers.has("x-litellm-cache-key");
      });
      await box.stub.forget();
      const again = await together(6, () => box.chat("plain", text));
      expect(again.map((one) => one.text)).toEqual(Array(6).fill(first.text));
      expect(await box.requests("plain")).toBe(0);
    });

    test.each([
      ["another prompt", (text: string) => box.chat("plain", `${text}!`)],
      ["another model", (text: string) => box.chat("safe", text)],
      ["another parameter", (text: string) => box.chat("plain", text, { temperature: 0.5 })],
      ["a parameter that not every server has", (text: string) => box.chat("plain", text, { top_k: 5 })],
      [
        "a parameter that LiteLLM does not know",
        (text: string) => box.chat("plain", text, { chat_template_kwargs: { enable_thinking: false } }),
      ],
      ["another namespace", (text: string) => box.chat("plain", text, { cache: { namespace: "team-b" } })],
      ["a wish for a new answer", (text: string) => box.chat("plain", text, { cache: { "no-cache": true } })],
    ])("does not answer %s", async (_, other) => {
      const text = box.fresh();
      await cached(text);
      await box.stub.forget();
      expect((await other(text)).status).toBe(200);
      expect((await box.requests("plain")) + (await box.requests("safe"))).toBe(1);
    });

    /** Asks until the answer comes from the cache. */
    async function cached(text: string): Promise<void> {
      await eventually(async () => (await box.chat("plain", text)).headers.has("x-litellm-cache-key"));
    }
  });
}
