import { type RoutedBox, thinking, together } from "./box";

/** What an entry says arrives at its server. */
export function wordStories(box: RoutedBox): void {
  describe("what an entry says in LiteLLM's own words", () => {
    test("two names over one server send it different bodies, by each protocol", async () => {
      for (const [name, on] of [
        ["thinks", true],
        ["quick", false],
      ] as const) {
        expect((await box.chat(name, box.fresh())).status).toBe(200);
        expect((await box.stub.seen()).shared!.last).toMatchObject(thinking(on));
        const messages = [{ role: "user", content: box.fresh() }];
        expect((await box.post("/v1/messages", { model: name, max_tokens: 9, messages })).status).toBe(200);
        expect((await box.stub.seen()).shared!.last).toMatchObject(thinking(on));
      }
    });

    test("samplers, limits, dropped parameters and header fields arrive; a client's own word goes before", async () => {
      expect((await box.chat("quick", box.fresh(), { user: "somebody", top_k: 5 })).status).toBe(200);
      const { last, headers } = (await box.stub.seen()).shared!;
      expect(last).toMatchObject({ temperature: 0.25, top_k: 5, max_tokens: 77 });
      expect(last).not.toHaveProperty("user");
      expect(headers).toMatchObject({ "x-team": "red" });
    });

    test("a name for many sends what the client wrote, or one model, and never what leads elsewhere", async () => {
      expect((await box.chat("lab/org/some.model:7b", box.fresh())).text).toContain("said by many");
      const messages = [{ role: "user", content: box.fresh() }];
      expect((await box.post("/v1/messages", { model: "lab/x", max_tokens: 9, messages })).text).toContain(
        "said by many",
      );
      expect((await box.chat("claude-nobody-declared", box.fresh())).text).toContain("said by any-claude");
      const seen = await box.stub.seen();
      expect([seen.many!.models, seen["any-claude"]!.models]).toEqual([
        ["org/some.model:7b", "x"],
        ["one-model"],
      ]);
      for (const name of ["lab/../../x", "lab/https://evil.example", "lab/x?y", "other/x"])
        expect([name, (await box.chat(name, box.fresh())).status]).toEqual([name, 400]);
      expect((await box.stub.seen()).many!.requests).toBe(2);
    });

    test("a name with a variant's characters answers by each protocol, and so do its aliases; twins answer apart", async () => {
      for (const name of ["claude-x[1m]", "m@q4", "a+b"]) {
        expect((await box.chat(name, box.fresh())).text).toContain("said by variant");
        const messages = [{ role: "user", content: box.fresh() }];
        const answer = await box.post("/v1/messages", { model: name, max_tokens: 9, messages });
        expect(answer.json).toMatchObject({ content: [{ text: "said by variant" }] });
      }
      expect((await box.stub.seen()).variant!.models).toEqual(Array(6).fill("claude-x[1m]"));
      expect((await box.chat("twin.a", box.fresh())).text).toContain("said by twin-dot");
      expect((await box.chat("twin-a", box.fresh())).text).toContain("said by twin-dash");
    });

    test("one name over two servers asks each by the name that it knows", async () => {
      const answers = await together(8, () => box.chat("apart", box.fresh("sleep 2")));
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      const seen = await box.stub.seen();
      expect([new Set(seen["apart-1"]!.models), new Set(seen["apart-2"]!.models)]).toEqual([
        new Set(["served/big"]),
        new Set(["small:4b"]),
      ]);
    });
  });
}
