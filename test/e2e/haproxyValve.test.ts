import http from "node:http";
import { connect } from "node:net";
import { allowance } from "../support/allowance";
import { pause } from "../support/wait";
import { ask } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;
const HOLD_SECONDS = 3;
const ROUTES = ["/v1/models", "/v1/chat/completions"];

/** A request whose answer is read as it comes: what its first bytes are, and all of it once the connection is closed. */
function rawStream(port: number, path: string): { first: Promise<void>; end: Promise<string> } {
  const socket = connect(port, "127.0.0.1");
  socket.write(`POST ${path} HTTP/1.1\r\nHost: valve\r\nContent-Length: 2\r\n\r\n{}`);
  let text = "";
  const first = new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      text += data;
      if (text.includes("data: ")) resolve();
    });
  });
  const end = new Promise<string>((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
  return { first, end };
}

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
    await Promise.all([
      lab.stub("model"),
      lab.valve("model", { model: "tiny", routes: ROUTES, holdSeconds: HOLD_SECONDS }),
    ]);
    await passes();
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("a request and its answer pass", async () => {
    const { status, json } = await post("?id=one");
    expect([status, json.name, json.method, json.bytes]).toEqual([200, "model", "POST", 2]);
  });

  test("a kept connection takes the next request, and after a reload the new process answers it", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const answer = async (path: string) => {
      const { status, headers } = await ask(lab.clientPort, path, { agent });
      return [status, headers.connection];
    };
    const ports = () =>
      Object.values(agent.freeSockets).flatMap((sockets) => sockets!.map((one) => one.localPort));
    expect(await answer("/v1/models")).toEqual([200, undefined]);
    const [first] = ports();
    expect(await answer("/v1/models")).toEqual([200, undefined]);
    expect(ports()).toEqual([first]);
    // The process before knows no such route.
    lab.writeValve("model", { model: "tiny", routes: [...ROUTES, "/v1/rerank"], holdSeconds: HOLD_SECONDS });
    expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
    expect(await answer("/v1/rerank")).toEqual([200, "close"]);
    agent.destroy();
    lab.writeValve("model", { model: "tiny", routes: ROUTES, holdSeconds: HOLD_SECONDS });
    expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
  });

  test("an error of the backend passes unchanged", async () => {
    expect([(await post("?status=400")).status, (await post("?status=500")).status]).toEqual([400, 500]);
  });

  test("a backend that says 503 is named with its model", async () => {
    const { status, headers, json } = await post("?status=503");
    expect([status, headers["retry-after"]]).toEqual([503, "5"]);
    expect(json).toEqual(unavailable("its backend is starting or overloaded"));
  });

  test.each([
    ...["/metrics", "/metrics/x", "/%6detrics", "/health", "/invocations", "/sleep", "/scale_elastic_ep"],
    ...["/pooling", "/v1/chat/completions/", "/v1/chat/completions/x", "/v1", "/"],
  ])("%s is not served", async (path) => {
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
        expect(took / 1000).toBeLessThan(HOLD_SECONDS + allowance(2.5));
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

  describe("closed before its backend stops", () => {
    const drain = (...args: string[]) => lab.exec("valve", "bash", "/etc/gpubox/drain.sh", ...args);
    afterEach(async () => {
      expect((await drain("--undo")).code).toBe(0);
      await passes();
    });

    test(
      "it lets the running request finish, accepts no new one, and ends when it is undone",
      async () => {
        const running = post("?silent=6");
        await pause(1500, "requests are under way");
        const draining = drain("20");
        await eventually(async () => (await post()).status === 503);
        const done = await draining;
        expect([done.code, done.stdout]).toEqual([0, "drained\n"]);
        expect((await running).status).toBe(200);
      },
      MINUTE,
    );

    test(
      "a request that comes meanwhile is held until it opens again",
      async () => {
        // Longer than a busy machine takes to open it.
        lab.writeValve("model", { model: "tiny", routes: ROUTES, holdSeconds: 30 });
        expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
        await drain("1");
        const waiting = post();
        await pause(1500, "the request is at the valve");
        await drain("--undo");
        const { status, took } = await waiting;
        expect(status).toBe(200);
        expect(took).toBeGreaterThan(1500);
      },
      MINUTE,
    );

    test.each(["a stream", "a stream of the process before a reload"])(
      "%s that takes longer is cut at once and looks cut, though the backend goes on in silence",
      async (what) => {
        const began = Date.now();
        const stream = rawStream(lab.clientPort, "/v1/chat/completions?stream=60");
        await stream.first;
        if (what.includes("reload")) expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
        const { code, stdout } = await drain("2");
        expect([code, stdout]).toEqual([0, "1 requests did not end within 2 s and are cut\n"]);
        const text = await stream.end;
        expect(Date.now() - began).toBeLessThan(allowance(20_000));
        expect([
          text.includes("data: model 0"),
          text.includes("[DONE]"),
          text.endsWith("\r\n0\r\n\r\n"),
        ]).toEqual([true, false, false]);
      },
      MINUTE,
    );

    test(
      "an answer that has not begun ends at once too, with a 503 or without one",
      async () => {
        const end = post("?silent=30").then(
          ({ status }) => status,
          () => "closed",
        );
        await pause(1500, "requests are under way");
        await drain("1");
        expect([503, "closed"]).toContain(await end);
      },
      MINUTE,
    );
  });

  test("a slot's own answer in place of its model becomes a 503 that names both, and the model's own errors pass", async () => {
    lab.writeValve("model", { model: "tiny", routes: ROUTES, holdSeconds: HOLD_SECONDS, slot: "big" });
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
      lab.writeValve("model", {
        model: "giant",
        routes: ROUTES,
        holdSeconds: 0,
        startHint: "gpubox model start giant",
      });
      expect((await lab.reload("valve")).stdout).toBe("reloaded\n");
      await lab.docker("stop", "--time", "1", lab.name("model"));
      await eventually(async () => (await post()).status === 503);
      const { json, took } = await post();
      expect(json.error?.message).toBe(
        "Model giant is not available: it is started by hand, with `gpubox model start giant`",
      );
      expect(took).toBeLessThan(allowance(2000));
    },
    MINUTE,
  );
});
