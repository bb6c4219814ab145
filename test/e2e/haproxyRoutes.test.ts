import { allowance } from "../support/allowance";
import { ask, askRaw } from "./haproxy/client";
import { describeLab, eventually, Lab } from "./haproxy/lab";

const MINUTE = 60_000;

describeLab("the edge's routes and hosts", () => {
  const lab = new Lab();
  const client = (path: string, options = {}) => ask(lab.clientPort, path, options);
  const admin = (path: string, options = {}) => ask(lab.adminPort, path, options);

  beforeAll(async () => {
    await lab.open();
    await Promise.all([lab.stub("gw"), lab.edge({ upstream: ["gw"] })]);
    await eventually(async () => (await client("/v1/models")).status === 200);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test.each([
    ["POST", "/v1/chat/completions"],
    ["POST", "/chat/completions"],
    ["POST", "/v1/completions"],
    ["POST", "/completions"],
    ["POST", "/v1/embeddings"],
    ["POST", "/embeddings"],
    ["POST", "/v1/messages"],
    ["POST", "/v1/messages/count_tokens"],
    ["POST", "/v1/messages?beta=true"],
    ["GET", "/v1/models"],
    ["GET", "/models"],
    ["GET", "/v1/models/org%2Fname"],
    ["POST", "/v1/responses"],
    ["DELETE", "/v1/responses/resp_1"],
    ["POST", "/v1/rerank"],
    ["POST", "/rerank"],
    ["GET", "/health/readiness"],
  ])("clients reach %s %s, unchanged", async (method, path) => {
    const { status, json } = await client(path, { method });
    expect([status, json.method, json.path]).toEqual([200, method, path]);
  });

  test.each([
    "/",
    "/ui",
    "/ui/",
    "/metrics",
    "/key/generate",
    "/user/new",
    "/model/new",
    "/v1/model/info",
    "/modelsx",
    "/v1/modelsx",
    "/config/update",
    "/health",
    "/health/drain",
    "/health/readiness/details",
    "/mcp-rest/test",
    "/V1/MODELS",
    "/openapi.json",
  ])("clients do not reach %s, and learn where it is", async (path) => {
    const { status, headers, json } = await client(path);
    expect([status, headers["content-type"]]).toEqual([404, "application/json"]);
    expect(json.error).toEqual({
      message:
        "This port serves inference only. Admin routes, the UI and metrics are at http://127.0.0.1:4001 on the box itself.",
      type: "not_found",
      code: 404,
    });
  });

  test.each([
    ["/v1/images/generations", /^No model here answers this route: none has mode: image_generation\.$/],
    ["/audio/speech", /^No model here answers this route: none has mode: audio_speech\.$/],
    ["/v1/realtime", /^This route is closed\. It is a WebSocket, /],
    ...[
      ...["/v2/rerank", "/mcp", "/openai/deployments/m/chat/completions", "/gemini"],
      ...["/v1beta/models/m:generateContent", "/v1/v1/chat/completions"],
    ].map((path): [string, RegExp] => [path, /^No model here answers this route\.$/]),
    ["/batches", /^This route is closed\. A batch would run in one gateway, /],
  ])("a model's route that is closed is no admin route, and says why: %s", async (path, message) => {
    const { status, json } = await client(path);
    expect([status, json.error]).toEqual([
      404,
      { message: expect.stringMatching(message), type: "not_found", code: 404 },
    ]);
  });

  test.each(["/models/x:generateContent", "/v1/models/x:streamGenerateContent"])(
    "below the models, clients read and do not post: %s",
    async (path) => {
      expect((await client(path, { method: "POST" })).status).toBe(404);
      expect((await client(path)).status).toBe(200);
    },
  );

  test.each([
    ["//v1/models", 400],
    ["/v1//models", 400],
    ["/v1/models/../../key/generate", 400],
    ["/v1/models/..", 400],
    ["/v1/models/.", 400],
    ["/v1/models/./x", 400],
    ["/v1/models/%2e%2e/%2e%2e/key/generate", 400],
    ["/v1/models/..%2f..%2fkey/generate", 400],
    ["/v1/models/%2fkey", 400],
    ["/v1/models/..%5c..%5ckey", 400],
    ["/v1/models/a%00b", 400],
    ["/v1/models/a%0d%0ab", 400],
    ["/v1/models/%zz", 400],
    ["/v1/models%2f..%2f..%2fmetrics", 400],
    ["/%6bey/generate", 404],
    ["/key%2fgenerate", 404],
    ["/v1/models;/../key", 400],
    ["/v1/models;x", 404],
    ["/health/%64rain", 404],
  ])("the path %s is answered %i and reaches no gateway", async (path, status) => {
    expect((await client(`${path}?id=trick`)).status).toBe(status);
    expect((await admin("/counts?id=trick")).text).toBe("0");
  });

  test("an absolute request target is judged by its path and host", async () => {
    const raw = (target: string) =>
      askRaw(
        lab.clientPort,
        `GET ${target} HTTP/1.1\r\nHost: ${new URL(target).host}\r\nx-api-key: sk-x\r\n\r\n`,
      );
    expect(await raw("http://localhost/key/generate")).toMatch(/ 404 /);
    expect(await raw("http://localhost/v1/models")).toMatch(/ 200 /);
    expect(await raw("http://evil.example/v1/models")).toMatch(/ 421 /);
  });

  test.each(["localhost", "LOCALHOST:4000", "127.0.0.1", "[::1]:4000", "box.example", "Box.Example:8443"])(
    "Host %s is answered, and the gateway sees a fixed one",
    async (Host) => {
      const { status, json } = await client("/v1/models", { headers: { Host } });
      expect([status, json.headers?.host]).toEqual([200, "gateway"]);
    },
  );

  test.each(["evil.example", "localhost.evil.example", "box.example.", "xbox.example", "[::2]"])(
    "Host %p is refused on both ports with the setting that would allow it",
    async (Host) => {
      for (const port of [lab.clientPort, lab.adminPort]) {
        const { status, json } = await ask(port, "/v1/models", { headers: { Host } });
        expect([status, json.error?.message]).toEqual([
          421,
          "This gateway does not answer to that host name. Add it to gateway.hosts in the stack's config.",
        ]);
      }
    },
  );

  test("a request with an empty Host or without one is refused", async () => {
    expect(await askRaw(lab.clientPort, "GET /v1/models HTTP/1.1\r\nHost:\r\n\r\n")).toMatch(/ 421 /);
    expect(await askRaw(lab.clientPort, "GET /v1/models HTTP/1.0\r\n\r\n")).toMatch(/ 421 /);
  });

  test("clients' claims about themselves do not reach the gateway", async () => {
    const claims = {
      "X-Forwarded-For": "1.2.3.4",
      "X-Forwarded-Host": "evil",
      "X-Forwarded-Proto": "https",
      "X-Real-IP": "1.2.3.4",
      Forwarded: "for=1.2.3.4",
      "X-Gpubox-Held": "0",
    };
    const { headers } = (await client("/v1/models", { headers: claims })).json;
    expect(headers?.["x-forwarded-for"]).toMatch(/^\d+\.\d+\.\d+\.1$/);
    expect(Object.keys(headers!).filter((name) => /forwarded|real|held/.test(name))).toEqual([
      "x-forwarded-for",
    ]);
  });

  test.each(["/metrics", "/key/generate", "/ui/index.html", "/v1/models", "/config/update"])(
    "the admin port serves %s",
    async (path) => {
      const { status, json } = await admin(path);
      expect([status, json.path]).toEqual([200, path]);
    },
  );

  test.each(["/health/drain", "/health/drain/", "/health/%64rain", "/health%2fdrain"])(
    "nobody reaches the drain route as %s",
    async (path) => {
      expect((await admin(path)).status).toBe(404);
      expect((await client(path)).status).toBe(404);
    },
  );

  test("a redirect of the gateway to its own name leads back to the edge", async () => {
    const { headers } = await admin("/ui?location=http://gateway:4000/ui/login");
    expect(headers.location).toBe("/ui/login");
    const elsewhere = await admin("/sso?location=https://login.example/x");
    expect(elsewhere.headers.location).toBe("https://login.example/x");
  });

  test("events leave the edge as they come", async () => {
    const { text } = await client("/v1/chat/completions?stream=1", { method: "POST" });
    expect(text.split("\n\n").filter(Boolean)).toHaveLength(11);
    const delays: number[] = [];
    const response = await fetch(`http://127.0.0.1:${lab.clientPort}/v1/chat/completions?stream=1`, {
      method: "POST",
      headers: { "x-api-key": "sk-x" },
    });
    for await (const chunk of response.body!.pipeThrough(
      new TextDecoderStream() as never,
    ) as never as string[]) {
      const sent = /data: gw \d+ ([\d.]+)/.exec(chunk);
      if (sent) delays.push(Date.now() - Number(sent[1]) * 1000);
    }
    expect(delays).toHaveLength(10);
    // Events that are gathered would each wait for the next one, 100 ms; a machine that is busy delays some.
    expect(delays.sort((a, b) => a - b)[4]).toBeLessThan(allowance(80));
  });

  test("a client that goes away stops the work for it", async () => {
    const before = Number((await admin("/counts?id=cut")).text);
    await expect(client("/v1/chat/completions?stream=20", { method: "POST", giveUpMs: 500 })).rejects.toThrow(
      "abort",
    );
    await eventually(async () => Number((await admin("/counts?id=cut")).text) === before + 1);
    await eventually(async () => (await lab.status()).join() === "s1 gw serving 0");
  });
});
