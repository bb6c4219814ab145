import { ask } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;
const MOST = 2;

/** Waits until all requests that may run are running: one that came first would get the place of another. */
async function full(lab: Lab, short: "edge" | "valve"): Promise<void> {
  const script = 'source /etc/gpubox/control.sh; ask "@1 show table running"';
  await eventually(async () =>
    (await lab.exec(short, "bash", "-c", script)).stdout.includes(`conn_cur=${MOST}`),
  );
}

/** Answers of `count` streams of 4 s that begin together: statuses, sorted. */
async function together(lab: Lab, count: number): Promise<number[]> {
  const path = "/v1/chat/completions?stream=4";
  const answers = Array.from({ length: count }, () => ask(lab.clientPort, path, { method: "POST" }));
  return (await Promise.all(answers)).map(({ status }) => status).sort();
}

describeLab("a valve with a limit of requests at a time", () => {
  const lab = new Lab();
  const post = (query = "", options = {}) =>
    ask(lab.clientPort, `/v1/chat/completions${query}`, { method: "POST", ...options });

  beforeAll(async () => {
    await lab.open();
    const options = { model: "tiny", holdSeconds: 3, routes: ["/v1/chat/completions"], maxParallel: MOST };
    await Promise.all([lab.stub("model"), lab.valve("model", options)]);
    await eventually(async () => (await post()).status === 200);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("answers 429 to those above it while the others stream, and lets them in afterwards", async () => {
    const streams = together(lab, MOST);
    await full(lab, "valve");
    const { status, headers, json } = await post();
    expect([status, headers["retry-after"]]).toEqual([429, "1"]);
    expect(json.error).toEqual({
      message: "Model tiny has its 2 requests at a time.",
      type: "rate_limit_error",
      code: 429,
    });
    expect(await streams).toEqual([200, 200]);
    expect((await post()).status).toBe(200);
  });

  test("of five simultaneous requests, two are served", async () => {
    expect(await together(lab, 5)).toEqual([200, 200, 429, 429, 429]);
  });

  test("a client that goes away makes room", async () => {
    const gone = [post("?stream=30", { giveUpMs: 300 }), post("?stream=30", { giveUpMs: 300 })];
    await Promise.allSettled(gone);
    await eventually(async () => (await post()).status === 200);
  });
});

describeLab("an edge with a limit of requests at a time", () => {
  const lab = new Lab();

  beforeAll(async () => {
    await lab.open();
    await Promise.all([lab.stub("gw"), lab.edge({ upstream: ["gw"], auth: "none", maxParallel: MOST })]);
    await eventually(async () => (await ask(lab.clientPort, "/v1/models")).status === 200);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("answers 429 to those above it; requests other than inference do not count", async () => {
    const streams = together(lab, MOST);
    await full(lab, "edge");
    expect((await ask(lab.clientPort, "/v1/embeddings", { method: "POST" })).status).toBe(429);
    const models = () => ask(lab.clientPort, "/v1/models");
    expect(await Promise.all([models(), models(), models()])).toMatchObject(Array(3).fill({ status: 200 }));
    expect(await streams).toEqual([200, 200]);
  });

  test("of five simultaneous requests, two are served", async () => {
    expect(await together(lab, 5)).toEqual([200, 200, 429, 429, 429]);
  });
});
