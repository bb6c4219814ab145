import { type Answer, eventually, type RoutedBox, together } from "./box";

/** A conversation stays with the server that has its tokens cached. */
export function conversationStories(box: RoutedBox): void {
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
      return servedBy(await box.post("/v1/chat/completions", { model: "kept", messages }));
    }

    const servedBy = ({ status, text }: Answer) => `${status} ${/said by ([\w-]+)/.exec(text)?.[1] ?? text}`;
    const other = (server: string) => (server === "200 kept-1" ? "200 kept-2" : "200 kept-1");

    test("stays with one server, whichever gateway it reaches", async () => {
      const first = box.fresh();
      const servers = [await said(first)];
      // The edge takes its gateways in turn.
      for (const more of Array.from({ length: 7 }, () => box.fresh())) servers.push(await said(first, more));
      expect(servers).toEqual(Array(8).fill(servers[0]));
    });

    test("that its client names stays with one server, by each protocol, however much it asks at a time", async () => {
      const named = { "x-claude-code-session-id": crypto.randomUUID() };
      const asks = await together(8, () => {
        const messages = [{ role: "user", content: box.fresh("sleep 1") }];
        return box.post("/v1/chat/completions", { model: "kept", messages }, named);
      });
      const messages = [{ role: "user", content: box.fresh() }];
      const body = { model: "kept", max_tokens: 9, messages };
      const servers = [...asks, await box.post("/v1/messages", body, named)].map(servedBy);
      expect(servers).toEqual(Array(9).fill(servers[0]));
    });

    test("begins at the server that has the least to do, and both go on where they began", async () => {
      const first = box.fresh("sleep 3");
      const long = said(first);
      await eventually(async () => Object.keys(await box.stub.seen()).length === 1);
      const second = box.fresh();
      const idle = await said(second);
      const busy = await long;
      expect(idle).toBe(other(busy));
      expect([await said(first, box.fresh()), await said(second, box.fresh())]).toEqual([busy, idle]);
    });

    test("is answered by the other server when its own fails, and goes on there", async () => {
      const first = box.fresh();
      const own = await said(first);
      await box.stub.forget();
      const servers = [
        await said(first, box.fresh(`only ${own.slice(4)}: status 500`)),
        await said(first, box.fresh()),
      ];
      expect(servers).toEqual(Array(2).fill(other(own)));
      expect([await box.requests(own.slice(4)), await box.requests(other(own).slice(4))]).toEqual([1, 2]);
    });

    test("is not what many samples of one prompt are: they go to both servers", async () => {
      const prompt = box.fresh("sleep 1");
      const servers = await together(8, () => said(prompt));
      expect(new Set(servers)).toEqual(new Set(["200 kept-1", "200 kept-2"]));
    });
  });
}
