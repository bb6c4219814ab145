import http from "node:http";
import { pause } from "../support/wait";
import { ask } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;
const HOLD_SECONDS = 3;

describeLab("a valve in front of a backend", () => {
  const lab = new Lab();
  const post = (query = "") =>
    ask(lab.clientPort, `/v1/chat/completions${query}`, { method: "POST", body: "{}" });
  const passes = () => eventually(async () => (await post()).status === 200);
  const unavailable = (reason: string) => ({
    type: "error",
    error: { message: `Model tiny is not available: ${reason}`, type: "service_unavailable", code: 503 },
  });

  beforeAll(async () => {
    await lab.open();
    await Promise.all([lab.stub("model"), lab.valve("model", { model: "tiny", holdSeconds: HOLD_SECONDS })]);
    await passes();
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("a request and its answer pass", async () => {
    const { status, json } = await post("?id=one");
    expect([status, json.name, json.method, json.bytes]).toEqual([200, "model", "POST", 2]);
  });

  test("no connection stays open that the valve could close under the next request", async () => {
    const agent = new http.Agent({ keepAlive: true });
    const { headers } = await ask(lab.clientPort, "/v1/models", { agent });
    expect(headers.connection).toBe("close");
    agent.destroy();
  });

  test("an error of the backend passes unchanged", async () => {
    expect([(await post("?status=400")).status, (await post("?status=500")).status]).toEqual([400, 500]);
  });

  test("a backend that says 503 is named with its model", async () => {
    const { status, headers, json } = await post("?status=503");
    expect([status, headers["retry-after"]]).toEqual([503, "5"]);
    expect(json).toEqual(unavailable("its backend is starting or overloaded"));
  });

  test.each(["/metrics", "/metrics/x", "/%6detrics"])("%s is not served", async (path) => {
    expect((await ask(lab.clientPort, path)).status).toBe(404);
  });

  test(
    "a request waits while its backend restarts",
    async () => {
      await lab.docker("kill", lab.name("model"));
      const waiting = post();
      await pause(1500, "requests are under way");
      await lab.revive("model");
      const { status, took } = await waiting;
      expect(status).toBe(200);
      expect(took).toBeGreaterThan(1500);
    },
    MINUTE,
  );

  test(
    "a request whose backend stays away learns which model and why, within the time limit",
    async () => {
      await lab.docker("kill", lab.name("model"));
      for (const when of ["just died", "long gone"]) {
        const { status, headers, json, took } = await post();
        expect([when, status, headers["retry-after"]]).toEqual([when, 503, "5"]);
        expect(headers["content-type"]).toBe("application/json");
        expect(json).toEqual(unavailable("its backend is not answering"));
        expect(took / 1000).toBeLessThan(HOLD_SECONDS + 2.5);
      }
      await lab.revive("model");
      await passes();
    },
    MINUTE,
  );

  test(
    "a backend that dies over a request is not asked again, and the answer says so",
    async () => {
      const { status, headers, json } = await post("?die=1");
      expect([status, headers["retry-after"]]).toEqual([503, "5"]);
      expect(json).toEqual(unavailable("its backend stopped before it answered"));
      await lab.revive("model");
      await passes();
    },
    MINUTE,
  );

  test(
    "an unhealthy backend gets nothing until it is healthy",
    async () => {
      await lab.exec("model", "touch", "/tmp/unwell");
      await eventually(async () => (await post()).status === 503);
      const waiting = post();
      await pause(500, "requests are under way");
      await lab.exec("model", "rm", "/tmp/unwell");
      expect((await waiting).status).toBe(200);
    },
    MINUTE,
  );

  test(
    "draining lets the running request finish, accepts no new one, and ends when it is undone",
    async () => {
      const drain = (...args: string[]) => lab.exec("valve", "bash", "/etc/gpubox/drain.sh", ...args);
      const running = post("?silent=8");
      await pause(1500, "requests are under way");
      const early = await drain("1");
      expect([early.code, early.stdout]).toEqual([0, "1 requests did not end within 1 s\n"]);
      expect((await post()).status).toBe(503);
      const done = await drain("20");
      expect([done.code, done.stdout]).toEqual([0, "drained\n"]);
      expect((await running).status).toBe(200);
      expect((await drain("--undo")).code).toBe(0);
      await passes();
    },
    MINUTE,
  );

  test("a slot's own answer in place of its model becomes a 503 that names both, and the model's own errors pass", async () => {
    lab.writeValve("model", { model: "tiny", holdSeconds: HOLD_SECONDS, slot: "big" });
    expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
    const reasons = {
      500: "its server did not load; the log of the slot big says why",
      502: "its server stopped before it answered",
    };
    for (const [status, reason] of Object.entries(reasons)) {
      const answer = await post(`?status=${status}&anonymous=1`);
      expect([answer.status, answer.headers["retry-after"], answer.json]).toEqual([
        503,
        "5",
        unavailable(reason),
      ]);
    }
    const own = await post("?status=500");
    expect([own.status, own.json.name]).toEqual([500, "model"]);
  });

  test(
    "a model that is started by hand says so at once, after a reload of its own configuration",
    async () => {
      lab.writeValve("model", { model: "giant", holdSeconds: 0, startHint: "gpubox model start giant" });
      expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
      await lab.docker("stop", "--time", "1", lab.name("model"));
      await eventually(async () => (await post()).status === 503);
      const { json, took } = await post();
      expect(json.error?.message).toBe(
        "Model giant is not available: it is started by hand, with `gpubox model start giant`",
      );
      expect(took).toBeLessThan(2000);
    },
    MINUTE,
  );
});
