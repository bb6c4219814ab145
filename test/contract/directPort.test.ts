import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { DIRECT_PORT, directKeys, valveConfig } from "../../configs/plan/haproxy/valve";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const SECRETS = { exposeKey: "sk-direct-0123456789", saltKey: "sk-salt-0123456789" };
const MODEL = "qwen3-coder:30b";

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

needs("haproxy")("the published port of a model", () => {
  let dir: string;
  let backend: Server;
  let haproxy: ChildProcess;
  let port: number;
  let loaded = true;
  const seen: IncomingMessage[] = [];

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-direct-"));
    backend = createServer((incoming, response) => {
      if (incoming.url === "/api/ps") {
        response.end(JSON.stringify({ models: loaded ? [{ name: MODEL }] : [] }));
        return;
      }
      seen.push(incoming);
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => backend.once("listening", resolve));
    port = await freePort();
    const address = {
      name: "backend-m",
      port: (backend.address() as AddressInfo).port,
      healthPath: "/api/ps",
    };
    const config = renderText(
      valveConfig({
        model: "m",
        port: await freePort(),
        backend: { ...address, healthText: `"${MODEL}"` },
        holdSeconds: 0,
        routes: ["/v1/models", "/v1/chat/completions", "/v1/audio/"],
        direct: { keyed: true },
      }),
      SECRETS,
    )
      .replace(`bind :${DIRECT_PORT}`, `bind 127.0.0.1:${port}`)
      .replace(`server backend backend-m:`, "server backend 127.0.0.1:")
      .replace(/bind 127\.0\.0\.1:4002/, `bind 127.0.0.1:${await freePort()}`)
      .replaceAll("/etc/gpubox", dir)
      .replaceAll("unix@/tmp", `unix@${dir}`);
    writeFileSync(join(dir, "haproxy.cfg"), config);
    writeFileSync(join(dir, "moved.map"), "");
    writeFileSync(join(dir, "keys.map"), renderText(directKeys("exposeKey", true), SECRETS));
    for (const script of ["hold.lua", "body.lua"])
      cpSync(join(__dirname, "../../assets/haproxy", script), join(dir, script));
    haproxy = spawn("haproxy", ["-db", "-f", join(dir, "haproxy.cfg")], { stdio: "ignore" });
    await eventually(200);
  }, 20_000);

  afterAll(() => {
    haproxy?.kill("SIGKILL");
    backend?.closeAllConnections();
    backend?.close();
    rmSync(dir, { recursive: true });
  });

  const ask = (path: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; body: string }>((resolve) => {
      const outgoing = request({ host: "127.0.0.1", port, path, headers }, (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      });
      outgoing.on("error", () => resolve({ status: 0, body: "" }));
      outgoing.end();
    });
  const keyed = { authorization: `Bearer ${SECRETS.exposeKey}` };
  async function eventually(status: number) {
    await until(`it answers ${status}`, async () => (await ask("/v1/models", keyed)).status === status);
  }

  test("its key opens it in either header, and the backend sees its own key and never the client's", async () => {
    for (const headers of [keyed, { "x-api-key": SECRETS.exposeKey }]) {
      seen.length = 0;
      expect((await ask("/v1/chat/completions", headers)).status).toBe(200);
      expect(seen[0]!.headers.authorization).toMatch(/^Bearer [0-9a-f]{64}$/);
      expect(JSON.stringify(seen[0]!.headers)).not.toContain(SECRETS.exposeKey);
    }
  });

  test("without its key, or with another, it answers 401 and asks nobody", async () => {
    seen.length = 0;
    const others: Record<string, string>[] = [
      {},
      { authorization: "Bearer sk-other" },
      { "x-api-key": "client" },
    ];
    for (const headers of others) expect((await ask("/v1/models", headers)).status).toBe(401);
    expect(seen).toEqual([]);
  });

  test.each([
    ...[
      "/metrics",
      "/pause",
      "/v1",
      "/invocations",
      "/api/ps",
      "/sleep",
      "/tokenize",
      "/v1/score",
      "/v1/audio",
    ],
    ...["/v1/models/", "/v1/chat/completions/x", "/v1/load_lora_adapter"],
  ])("%s is not served", async (path) => {
    const { status, body } = await ask(path, keyed);
    expect([status, JSON.parse(body).error.message]).toEqual([
      404,
      "This port serves only /v1/models, /v1/chat/completions, /v1/audio/.",
    ]);
  });

  test("a declared route opens what lies below it only where it ends with a slash", async () => {
    expect((await ask("/v1/audio/transcriptions", keyed)).status).toBe(200);
  });

  test.each(["/v1/../pause", "/v1/%2e%2e/pause", "/v1//x"])(
    "%s is refused because its path is not normalised",
    async (path) => {
      expect((await ask(path, keyed)).status).toBe(400);
    },
  );

  test("a server that answers without the model loaded gets no request", async () => {
    loaded = false;
    await eventually(503);
    seen.length = 0;
    expect((await ask("/v1/models", keyed)).body).toContain("Model m is not available");
    expect(seen).toEqual([]);
    loaded = true;
    await eventually(200);
  });
});
