import { eventually, type RoutedBox, together } from "./box";

/** Who of several servers is asked, and what a failure does. */
export function routingStories(box: RoutedBox): void {
  describe("routing", () => {
    test("least-busy prefers the idle instance", async () => {
      const long = box.chat("pair", box.fresh("sleep 8"));
      let busy = "";
      await eventually(async () => {
        busy = Object.keys(await box.stub.seen())[0] ?? "";
        return busy !== "";
      });
      const idle = busy === "pair-1" ? "pair-2" : "pair-1";
      for (let asked = 0; asked < 6; asked++) expect((await box.chat("pair", box.fresh())).status).toBe(200);
      expect([await box.requests(busy), await box.requests(idle)]).toEqual([1, 6]);
      expect((await long).status).toBe(200);
    });

    test.each(["shaky", "shaky-alias"])("the declared fallback answers a failure of %s", async (name) => {
      // The stub fails by a word that only shaky is told: the fallback gets the same question.
      const { status, json } = await box.chat(name, box.fresh("only shaky: status 500"));
      expect([status, json]).toMatchObject([200, { choices: [{ message: { content: "said by safe" } }] }]);
      expect([await box.requests("shaky"), await box.requests("safe")]).toEqual([1, 1]);
    });

    test("without a fallback the client gets the failure at once and nobody else is asked", async () => {
      const { status, text } = await box.chat("brittle", box.fresh("status 500"));
      expect(status).toBe(500);
      expect(text).toContain("brittle was told so");
      const seen = await box.stub.seen();
      expect(Object.entries(seen).map(([name, { requests }]) => [name, requests])).toEqual([["brittle", 1]]);
    });

    test.each([404, 401, 500])(
      "a request that its server refuses with %i blocks the model for nobody else",
      async (code) => {
        const refused = await together(4, () => box.chat("brittle", box.fresh(`status ${code}`)));
        expect(refused.map(({ status }) => status)).toEqual(Array(4).fill(code));
        const others = await together(6, () => box.chat("brittle", box.fresh()));
        expect(others.map(({ status }) => status)).toEqual(Array(6).fill(200));
      },
    );

    test("prices are in /model/info", async () => {
      const answer = await fetch(`${box.admin}/model/info`, {
        headers: { authorization: `Bearer ${box.key}` },
      });
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
}
