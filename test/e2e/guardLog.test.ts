import { GuardedGateway } from "../support/guardedGateway";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
jest.setTimeout(2 * MINUTE);

/** The canary stands in for a proxy; the server behind the gateway is one that the config keeps it from. */
const PROXY = {
  HTTP_PROXY: "http://upstream:8001",
  HTTPS_PROXY: "http://upstream:8001",
  ALL_PROXY: "http://upstream:8001",
  NO_PROXY: "upstream",
};

const messages = [{ role: "user", content: "hi" }];

needs("docker")("the trajectory log in front of the guard", () => {
  const gateway = new GuardedGateway();
  beforeAll(() => gateway.start({ gateway: { trajectories: true, env: PROXY } }), 3 * MINUTE);
  afterAll(() => gateway.stop());

  /** The line of a request that has just been answered. */
  async function lineOf(session: string): Promise<Record<string, unknown>> {
    return until(
      `the line of ${session}`,
      async () => (await gateway.log()).find(({ session_id, final }) => session_id === session && final),
      { everyMs: 300 },
    );
  }

  async function ask(session: string, more: object): Promise<[number, string]> {
    const body = { model: "plain-whole", messages, litellm_session_id: session, ...more };
    const answer = await gateway.ask("/v1/chat/completions", body);
    return [answer.status, await answer.text()];
  }

  test("has what the client sent, including what the guard left out", async () => {
    const [status] = await ask("left-out", { colour: "blue" });
    const line = await lineOf("left-out");
    expect([status, line.outcome, line.told]).toEqual([200, "ok", true]);
    expect(JSON.stringify(line.request)).toContain("blue");
  });

  test("has a request that the guard refused", async () => {
    const [status, text] = await ask("refused", { mock_response: "x" });
    const line = await lineOf("refused");
    expect([status, line.outcome, line.upstream]).toEqual([400, "error", null]);
    expect(text).toContain("would steer the gateway");
  });

  test.each(["/v1/chat/completions", "/v1/messages"])(
    "a proxy gets %s for servers elsewhere, and never what is for a valve",
    async (path) => {
      await gateway.forget();
      const statuses: number[] = [];
      for (const model of ["near", "plain-whole", "far"])
        statuses.push((await gateway.ask(path, { model, messages, max_tokens: 5 })).status);
      const { asked, canary } = await gateway.seen();
      expect([statuses, asked.map((one) => one.path), canary.map((one) => one.path)]).toEqual([
        [200, 200, 200],
        [expect.stringMatching(/^\/v1\//), expect.stringMatching(/^\/whole\/v1\//)],
        [expect.stringMatching(/^http:\/\/far\.example\/v1\//)],
      ]);
    },
  );

  test("has an answer that broke off as an error", async () => {
    const [, text] = await ask("cut", { model: "plain-cut", stream: true });
    const line = await lineOf("cut");
    expect(text).toContain("error");
    expect([line.outcome, line.stream]).toEqual(["error", true]);
  });
});
