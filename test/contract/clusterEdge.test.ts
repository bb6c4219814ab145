import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { clusterPlan } from "../support/cluster";
import { needs } from "../support/needs";
import { testSecrets, tinyModel } from "../support/stacks";
import { until } from "../support/wait";

/** The edge of a cluster with this machine's HAProxy: its files at other paths and ports, and a gateway that answers when it is told to. */
needs("haproxy")("the edge of a cluster", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-cluster-edge-"));
  const held: (() => void)[] = [];
  const gateway: Server = createServer((asked, answer) => {
    const done = () => answer.end("{}");
    asked.resume();
    if (asked.url === "/v1/chat/completions") held.push(done);
    else done();
  });
  let edge: ChildProcess;
  let port = 0;
  let said = "";

  const ask = (host: string, path: string, method = "GET") =>
    new Promise<number>((resolve) => {
      const headers = { Host: host, Authorization: `Bearer ${testSecrets.masterKey}` };
      request({ port, path, method, headers, agent: false }, (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
      })
        .on("error", () => resolve(0))
        .end(method === "POST" ? "{}" : undefined);
    });

  beforeAll(async () => {
    gateway.listen(0, "127.0.0.1");
    await once(gateway, "listening");
    const [clients, admin, alive] = await freePorts(3);
    port = clients!;
    const { files } = clusterPlan({ database: { mode: "none" }, models: tinyModel }).cluster!.edge;
    for (const [name, { text }] of Object.entries(files))
      writeFileSync(
        join(dir, name),
        renderText(text, testSecrets)
          .replaceAll(/\/(etc\/gpubox|tmp)\//g, `${dir}/`)
          .replaceAll("bind :4000", `bind 127.0.0.1:${clients}`)
          .replaceAll("bind :4001", `bind 127.0.0.1:${admin}`)
          .replaceAll("127.0.0.1:4002", `127.0.0.1:${alive}`)
          .replaceAll("gateway:4000", `127.0.0.1:${(gateway.address() as AddressInfo).port}`),
      );
    edge = spawn("bash", [join(dir, "entrypoint.sh")], {
      env: { ...process.env, DRAIN_NOTICE_SECONDS: "2" },
    });
    for (const stream of [edge.stdout!, edge.stderr!]) stream.on("data", (chunk) => (said += chunk));
    await until("the edge answers", async () => (await ask("edge", "/v1/models")) === 200, {
      seconds: 30,
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${said}`);
    });
  });

  afterAll(() => {
    edge?.kill("SIGKILL");
    gateway.close();
    rmSync(dir, { recursive: true });
  });

  test("it answers to the names that a cluster has for it, and to no other", async () => {
    const names = ["edge", "edge.gpubox-test", "edge.gpubox-test.svc", "edge.gpubox-test.svc.cluster.local"];
    expect(await Promise.all(names.map((name) => ask(`${name}:4000`, "/v1/models")))).toEqual([
      200, 200, 200, 200,
    ]);
    expect(await ask("other.example", "/v1/models")).toBe(421);
  });

  test("from its stop signal on it takes requests for a while, and it ends with the last answer", async () => {
    const running = ask("edge", "/v1/chat/completions", "POST");
    await until("the gateway has the request", () => held.length === 1);
    const ended = once(edge, "exit");
    edge.kill("SIGTERM");
    expect(await ask("edge", "/v1/models")).toBe(200);
    await until("it takes no connection any more", async () => (await ask("edge", "/v1/models")) === 0);
    expect(edge.exitCode).toBeNull();
    for (const done of held) done();
    expect(await running).toBe(200);
    expect(await ended).toEqual([0, null]);
  });
});

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => server.listening || once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
