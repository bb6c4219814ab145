import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { edgeConfig } from "../../configs/plan/haproxy/edge";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;

/** A server that answers its name to everything. */
const STUB = `const [, name, port] = process.argv;
require("node:http").createServer((_, answer) => answer.end(name)).listen(Number(port), "127.0.0.1");`;

/** The lines of the edge's own config that say how gateways are checked, without those about names in Docker. */
function checks(): string {
  const text = edgeConfig({ hosts: [], auth: "key", keys: "virtual", adminEndpoint: "x" }).join("");
  const [, slots = ""] = /^defaults slots from base\n([\s\S]*?)\n\n/m.exec(text) ?? [];
  return slots.replace(/ init-addr .*$/m, "");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

needs("haproxy")("a gateway that leaves its check without an answer", () => {
  const stubs: Record<string, ChildProcess> = {};
  let haproxy: ChildProcess;
  let dir: string;
  let port: number;
  let log = "";
  /** Since when `heard` looks. */
  let from = 0;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-silent-"));
    port = await freePort();
    const servers = [];
    for (const name of ["a", "b"]) {
      const own = await freePort();
      stubs[name] = spawn(process.execPath, ["-e", STUB, name, String(own)], { stdio: "ignore" });
      servers.push(`  server ${name} 127.0.0.1:${own}`);
    }
    const config = [
      "global",
      "  nbthread 1",
      `  lua-load ${join(packageDir, "assets/haproxy/silent.lua")}`,
      "defaults base",
      "  mode http",
      "  option http-keep-alive",
      "  timeout connect 2s",
      "  timeout server 60s",
      "  timeout client 60s",
      "defaults slots from base",
      checks(),
      "backend gateways from slots",
      ...servers,
      "frontend clients from base",
      `  bind 127.0.0.1:${port}`,
      "  default_backend gateways",
    ];
    writeFileSync(join(dir, "haproxy.cfg"), `${config.join("\n")}\n`);
    haproxy = spawn("haproxy", ["-f", join(dir, "haproxy.cfg")], { stdio: ["ignore", "ignore", "pipe"] });
    haproxy.stderr?.on("data", (text: Buffer) => {
      log += text;
    });
    await until("both serve", async () => (await names(8).catch(() => "")) === "ab", { everyMs: 200 });
  }, MINUTE);

  afterAll(() => {
    for (const process of [haproxy, ...Object.values(stubs)]) process.kill("SIGKILL");
    rmSync(dir, { recursive: true });
  });

  beforeEach(() => {
    from = log.length;
  });

  /** Who answers so many requests. */
  async function names(count: number): Promise<string> {
    const ask = () => fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
    const answers: string[] = [];
    for (let turn = 0; turn < count; turn++) answers.push(await ask().then((one) => one.text()));
    return [...new Set(answers)].sort().join("");
  }
  const stop = (name: string) => stubs[name]!.kill("SIGSTOP");
  const go = (name: string) => stubs[name]!.kill("SIGCONT");
  const heard = (words: string) => log.slice(from).includes(words);

  test(
    "is out within seconds while another one answers, and back with its first answer",
    async () => {
      stop("a");
      const began = performance.now();
      await until("a is out", () => heard("gateways/a is DOWN"), { everyMs: 50 });
      console.log(`out after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      // Not by its check, which gives up after a minute.
      expect(log.slice(from)).toContain("Server gateways/a is DOWN, changed from Lua script");
      expect(await names(8)).toBe("b");
      go("a");
      await until("both serve", async () => (await names(8)) === "ab", { everyMs: 50 });
    },
    MINUTE,
  );

  test(
    "keeps its place when it stands still for 3 s, as one that computes does",
    async () => {
      stop("a");
      await pause(3_000, "that long LiteLLM stands still under load");
      go("a");
      await until("both serve", async () => (await names(8)) === "ab", { everyMs: 50 });
      expect(log.slice(from)).toBe("");
    },
    MINUTE,
  );

  test(
    "keeps its place when no other one answers, so that never the last one goes",
    async () => {
      for (const name of ["a", "b"]) stop(name);
      await pause(6_000, "longer than a silent one has beside others");
      expect(log.slice(from)).toBe("");
      for (const name of ["a", "b"]) go(name);
      await until("both serve", async () => (await names(8)) === "ab", { everyMs: 50 });
    },
    MINUTE,
  );
});
