import { eventually, freshMinute, type RoutedBox, together } from "./box";

/** Limits and budgets count over both gateways. */
export function limitStories(box: RoutedBox): void {
  describe("limits", () => {
    test("6 requests a minute are 6, whichever gateway they reach; tokens a minute end once they are used up", async () => {
      await freshMinute();
      // 2000 tokens each.
      expect((await box.chat("wordy", box.fresh())).status).toBe(200);
      const answers = await together(14, () => box.chat("limited", box.fresh()));
      const passed = answers.filter(({ status }) => status === 200);
      expect(answers.map(({ status }) => status).sort()).toEqual([
        ...Array(6).fill(200),
        ...Array(8).fill(429),
      ]);
      expect(await box.requests("limited")).toBe(6);
      expect(new Set(passed.map(({ headers }) => headers.get("x-litellm-model-id")))).toEqual(
        new Set(["limited"]),
      );
      await eventually(async () => (await box.chat("wordy", box.fresh())).status === 429);
      expect(await box.requests("wordy")).toBe(2);
    });

    test("4 requests at a time are never more, however many come", async () => {
      const answers = await together(12, () => box.chat("narrow", box.fresh("sleep 3")));
      const statuses = answers.map(({ status }) => status);
      expect([...new Set(statuses)].sort()).toEqual([200, 429]);
      const { most } = (await box.stub.seen()).narrow!;
      expect(most).toBeLessThanOrEqual(4);
      expect(most).toBeGreaterThanOrEqual(2);
    });

    test("a provider's budget stops its spending", async () => {
      const first = await box.chat("paid", box.fresh());
      expect([first.status, first.text]).toEqual([200, expect.stringContaining("said by paid")]);
      // Each gateway learns from Redis what the other one has spent, a moment later.
      await eventually(async () => {
        await box.stub.forget();
        const refused = await together(4, () => box.chat("paid", box.fresh()));
        return refused.every(({ status }) => status === 429);
      });
      const refused = await together(4, () => box.chat("paid", box.fresh()));
      expect(refused.map(({ status }) => status)).toEqual(Array(4).fill(429));
      expect(refused[0]!.text).toContain("Exceeded budget for provider groq");
      expect(await box.requests("paid")).toBe(0);
    });

    test("a model's budget stops its spending, and no other model's", async () => {
      await eventually(async () => {
        await box.stub.forget();
        const refused = await together(4, () => box.chat("capped", box.fresh()));
        return refused.every(({ status }) => status === 429);
      });
      expect((await box.chat("capped", box.fresh())).text).toContain("Exceeded budget for deployment");
      expect(await box.requests("capped")).toBe(0);
      expect((await box.chat("plain", box.fresh())).status).toBe(200);
    });
  });
}
