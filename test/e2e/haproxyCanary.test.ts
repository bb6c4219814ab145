import { until } from "../support/wait";
import { type Answer, ask } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;
const ROUTES = ["/v1/models", "/v1/chat/completions"];
/** Seconds after which a valve ends a share that nobody looks at. */
const LEASE_SECONDS = 60;

describeLab("the canary of a valve", () => {
  const lab = new Lab();
  const post = (query = "", body = "{}") =>
    ask(lab.clientPort, `/v1/chat/completions?${query}`, { method: "POST", body });
  async function many(count: number, query = "", body = "{}"): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let index = 0; index < count; index++) answers.push(await post(query, body));
    return answers;
  }
  const statuses = (answers: Answer[]) => [...new Set(answers.map(({ status }) => status))];
  const canary = async (...args: string[]) => {
    const { code, stdout, stderr } = await lab.exec("valve", "bash", "/etc/gpubox/canary.sh", ...args);
    return code === 0 ? stdout.trim() : stderr.trim();
  };
  /** Seconds, points, factor, requests. */
  const judge = (seconds = 600, points = 1, factor = 2, least = 4) =>
    canary("--judge", ...[seconds, points, factor, least].map(String));
  const drain = (...args: string[]) => lab.exec("valve", "bash", "/etc/gpubox/drain.sh", ...args);
  /** Who answered each of so many requests, one after another. */
  const names = async (count: number) => (await many(count)).map(({ json }) => json.name);

  beforeAll(async () => {
    await lab.open();
    await Promise.all([
      lab.stub("model"),
      lab.stub("new"),
      lab.valve("model", { model: "tiny", routes: ROUTES, holdSeconds: 3 }, "new"),
    ]);
    await eventually(async () => (await post()).status === 200);
    expect((await drain("--next", "--await", "20")).code).toBe(0);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("nothing goes to the new server before it has a share, and there is nothing to decide", async () => {
    expect(new Set(await names(10))).toEqual(new Set(["model"]));
    expect(await judge()).toMatch(/^refuse its valve began anew, or nobody watched it/);
    expect(await canary("--say", "promote")).toBe("there is no canary at this valve");
  });

  test("it gets exactly its share of the questions, and of nothing else", async () => {
    await canary("--share", "25");
    expect((await names(20)).filter((name) => name === "new")).toHaveLength(5);
    for (let index = 0; index < 8; index++)
      expect((await ask(lab.clientPort, "/v1/models")).json.name).toBe("model");
    expect(await judge()).toMatch(/^wait 0 of its 5 requests failed \(0 of 15 on the one before\); whole/);
  });

  test.each([
    ["answers 500", "status=500"],
    ["answers 503", "status=503"],
    ["closes the connection", "close=1"],
  ])("a new server that %s loses no request: the one before is asked", async (_, fault) => {
    await canary("--share", "50");
    const answers = await many(10, `at=new&${fault}`);
    expect(answers.map(({ status, json }) => [status, json.name])).toEqual(Array(10).fill([200, "model"]));
    expect(await judge()).toMatch(/^refuse more of its requests fail: 5 of its 5 requests failed \(0 of 5 /);
  });

  test("a question is repeated up to 100 KB, and the error of a longer one is passed on and counted", async () => {
    await canary("--share", "50");
    expect(statuses(await many(4, "at=new&status=500", "x".repeat(100_000)))).toEqual([200]);
    expect(statuses(await many(4, "at=new&status=500", "x".repeat(200_000))).sort()).toEqual([200, 500]);
    expect(await judge()).toMatch(/^refuse .*4 of its 4 requests failed \(0 of 4/);
  });

  test("an answer that both servers refuse is asked once of each", async () => {
    await canary("--share", "50");
    expect(statuses(await many(2, "status=500&id=poison"))).toEqual([500]);
    const count = async (server: string) => (await lab.exec(server, "python3", "-c", COUNT)).stdout.trim();
    expect([await count("model"), await count("new")]).toEqual(["2", "1"]);
  });

  test("an answer that breaks off counts as failed, once", async () => {
    await canary("--share", "50");
    await Promise.allSettled(Array.from({ length: 4 }, () => post("at=new&cut=1")));
    expect(await judge()).toMatch(/^wait 2 of its 2 requests failed \(0 of 2 /);
  });

  test("the first token counts, though the header fields of both come at once", async () => {
    await canary("--share", "50");
    expect(statuses(await many(8, "at=new&stream=0.1&late=0.5"))).toEqual([200]);
    const [, ms] = /^refuse it answers later: .*first token after (\d+) ms \(\d+ ms\)/.exec(await judge())!;
    expect(Number(ms)).toBeGreaterThanOrEqual(500);
    expect(await judge(600, 1, 0)).toMatch(/^wait /);
  });

  test("a person decides at once", async () => {
    await canary("--share", "50");
    expect(await judge()).toMatch(/^wait /);
    await canary("--say", "revert");
    expect(await judge()).toMatch(/^refuse by hand: /);
    await canary("--share", "50");
    expect(await judge()).toMatch(/^wait /);
    await canary("--say", "promote");
    expect(await judge()).toMatch(/^promote by hand: /);
  });

  test("a reload ends the share, and the canary is refused", async () => {
    await canary("--share", "50");
    expect((await lab.reload("valve")).code).toBe(0);
    await eventually(async () => (await names(4)).every((name) => name === "model"));
    expect(await judge()).toMatch(/^refuse its valve began anew/);
    expect((await drain("--next", "--await", "20")).code).toBe(0);
  });

  test("to drain it ends its share at once, and lets its answers end", async () => {
    await canary("--share", "50");
    await post();
    const stream = post("stream=3");
    await eventually(async () => (await judge()).includes("0 of its 1 requests"));
    expect((await drain("--next", "20")).stdout).toBe("drained\n");
    const { status, text } = await stream;
    expect([status, text.includes("data: new 0 "), text.endsWith("data: [DONE]\n\n")]).toEqual([
      200,
      true,
      true,
    ]);
    expect(new Set(await names(6))).toEqual(new Set(["model"]));
    expect((await drain("--next", "--await", "20")).code).toBe(0);
  });

  test(
    "nobody watches any more: the share ends by itself, and nobody notices",
    async () => {
      await canary("--share", "50");
      const begun = Date.now();
      await until("the share has ended", async () => (await names(4)).every((name) => name === "model"), {
        ...{ seconds: LEASE_SECONDS + 20, everyMs: 1000 },
      });
      expect((Date.now() - begun) / 1000).toBeGreaterThan(LEASE_SECONDS - 1);
    },
    2 * MINUTE,
  );

  test("a new server that dies is refused, and its share goes to the one before", async () => {
    await canary("--share", "50");
    await lab.docker("kill", lab.name("new"));
    expect(statuses(await many(8))).toEqual([200]);
    await eventually(async () => (await judge()).startsWith("refuse the new server does not answer"));
  });
});

/** How often a stub was asked with the id `poison`. */
const COUNT =
  "import urllib.request as r; print(r.urlopen('http://127.0.0.1:4000/counts?id=poison').read().decode())";
