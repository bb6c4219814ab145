import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { EDGE_ASSETS, type EdgeOptions, edgeConfig } from "../../configs/plan/haproxy/edge";
import { edgeKeys } from "../../configs/plan/haproxy/edgeKeys";
import { JOB_EDGE_ASSETS, jobEdgeConfig, jobEdgeKeys } from "../../configs/plan/haproxy/jobEdge";
import { directKeys, VALVE_ASSETS, valveConfig } from "../../configs/plan/haproxy/valve";
import { scratch } from "./allocate";
import { makeCertificate } from "./certificates";
import { until } from "./wait";

export const KEY = "sk-listeners-0123456789";
const SECRETS = { masterKey: KEY, previousMasterKey: "sk-previous-0123456789", saltKey: "sk-salt", key: KEY };

/** Bytes of a body that the listeners take; at the valve a gateway's three times. */
export const LIMIT = 10_000;

/** How HAProxy is run: this machine's own, or an image's. */
export type Runner = "machine" | { image: string };

/** The HAProxys that are there: this machine's, and the one of the edge's image. */
export function runners(): [name: string, runner: Runner][] {
  const own: [string, Runner][] =
    spawnSync("haproxy", ["-v"]).status === 0 ? [["this machine's", "machine"]] : [];
  const args = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=gpubox/edge"];
  const { stdout } = spawnSync("docker", args);
  const [image] = `${stdout ?? ""}`.split("\n").filter(Boolean);
  return [...own, ...(image ? [[image, { image }] as [string, Runner]] : [])];
}

/** Version 3 and later: those before reset a client that still sends, and end a cut answer over HTTP/2 as a whole one. */
export function isModern(runner: Runner): boolean {
  if (runner !== "machine") return true;
  return Number(/version (\d+)\./.exec(`${spawnSync("haproxy", ["-v"]).stdout}`)?.[1] ?? 0) >= 3;
}

/** A server that says what reached it, and misbehaves as the query asks: `?as=cut-chunks`. */
export class Origin {
  readonly requests: { head: string; bytes: number; whole: boolean }[] = [];
  private server: Server;
  port = 0;

  constructor() {
    this.server = createServer((socket) => this.serve(socket));
  }

  async open(): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await new Promise((resolve) => this.server.once("listening", resolve));
    this.port = (this.server.address() as { port: number }).port;
  }

  close(): void {
    this.server.close();
  }

  private serve(socket: Socket): void {
    let text = Buffer.alloc(0);
    const entry = { head: "", bytes: 0, whole: false };
    socket.on("error", () => {});
    socket.on("data", (data) => {
      if (entry.whole) return;
      text = Buffer.concat([text, data]);
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (entry.head === "") {
        entry.head = text.subarray(0, end).toString("latin1");
        // HAProxy's own checks.
        if (/^\S+ \/health/.test(entry.head)) {
          entry.whole = true;
          socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
          return;
        }
        this.requests.push(entry);
      }
      Object.assign(entry, bodyOf(entry.head, text.subarray(end + 4)));
      if (entry.whole) answer(socket, entry.head, entry.bytes);
    });
  }
}

function bodyOf(head: string, rest: Buffer): { bytes: number; whole: boolean } {
  if (!/^transfer-encoding: *chunked/im.test(head)) {
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    return { bytes: rest.length, whole: rest.length >= length };
  }
  let bytes = 0;
  for (let at = 0; ; ) {
    const line = rest.indexOf("\r\n", at);
    if (line < 0) return { bytes, whole: false };
    const size = Number.parseInt(rest.subarray(at, line).toString(), 16);
    if (size === 0) return { bytes, whole: true };
    bytes += Math.min(size, Math.max(rest.length - line - 2, 0));
    at = line + 2 + size + 2;
    if (at > rest.length) return { bytes, whole: false };
  }
}

const EVENT = 'data: {"n":1}\n\n';

function answer(socket: Socket, head: string, bytes: number): void {
  const [, how = "ok"] = /[?&]as=([^ &]+)/.exec(head) ?? [];
  const chunk = `${EVENT.length.toString(16)}\r\n${EVENT}\r\n`;
  const answers: Record<string, string> = {
    ok: `HTTP/1.1 200 OK\r\nContent-Length: ${String(bytes).length}\r\n\r\n${bytes}`,
    "101": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes",
    whole: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`,
    "cut-chunks": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
    "cut-length": `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${EVENT}`,
    "until-close": `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n${EVENT}data: {"n`,
    "until-close-1.0": `HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n${EVENT}data: {"n`,
  };
  const redirect =
    /^3\d\d$/.test(how) &&
    `HTTP/1.1 ${how} X\r\nLocation: http://canary.invalid/\r\nContent-Length: 0\r\n\r\n`;
  socket.end(redirect || answers[how] || answers.ok!);
}

/** What a listener is called in the tests. */
export type Listener =
  | "clients"
  | "clients by TLS"
  | "admin"
  | "admin by TLS"
  | "plain"
  | "metrics"
  | "alive"
  | "valve"
  | "direct"
  | "job";

/** Every kind of listener of a box, before one origin. */
export class Listeners {
  readonly origin = new Origin();
  readonly ports = {} as Record<Listener, number>;
  private dirs: string[] = [];
  private stops: (() => void)[] = [];

  constructor(private readonly runner: Runner) {}

  async open(
    edge: { auth?: "key" | "none"; keys?: "master" | "virtual"; maxRequests?: number } = {},
  ): Promise<void> {
    await this.origin.open();
    const { certificate, key } = makeCertificate({ names: ["localhost"] });
    const server = `127.0.0.1:${this.origin.port}`;
    const bodies = { chat: LIMIT, embeddings: LIMIT, audio: LIMIT };
    const common: EdgeOptions = {
      hosts: [],
      auth: "key",
      keys: "master",
      adminEndpoint: "x",
      bodies,
      ...edge,
    };
    const upstream = `backend gateways from slots\n  server s1 ${server}\n  server waiting unix@/tmp/waiting.sock backup no-check pool-max-conn 0\n`;
    const keys = renderText(edgeKeys({ previousMasterKey: true }), SECRETS);
    const maps = { "keys.map": keys, "knows.map": "generation master\n", "moved.map": "", "expiry.map": "" };
    await this.start(
      EDGE_ASSETS,
      { ...maps, "haproxy.cfg": renderText(edgeConfig({ ...common, metrics: true }), {}) + upstream },
      { clients: 4000, admin: 4001, metrics: 4004, alive: 4002 },
    );
    const tls = { certificate: "/etc/gpubox/tls.pem", challenges: { httpsPort: 443 } };
    await this.start(
      EDGE_ASSETS,
      {
        ...maps,
        "tls.pem": certificate + key,
        "haproxy.cfg": renderText(edgeConfig({ ...common, tls, adminTls: true }), {}) + upstream,
      },
      { "clients by TLS": 4000, "admin by TLS": 4005, plain: 4003 },
    );
    const valve = valveConfig({
      model: "m",
      backend: { name: "127.0.0.1", port: this.origin.port, healthPath: "/health" },
      holdSeconds: 0,
      routes: ["/v1/"],
      bodyBytes: LIMIT,
      direct: { keyed: false },
    });
    await this.start(
      VALVE_ASSETS,
      {
        "haproxy.cfg": renderText(valve, {}),
        "keys.map": renderText(directKeys("key", false), SECRETS),
        "moved.map": "",
      },
      { valve: 8080, direct: 4003 },
    );
    const job = jobEdgeConfig({ gateway: "127.0.0.1", bodyBytes: LIMIT, silence: 60, drain: 60 });
    await this.start(
      JOB_EDGE_ASSETS,
      {
        "haproxy.cfg": renderText(job, {}).replace("gateway 127.0.0.1:4000", `gateway ${server}`),
        "keys.map": renderText(jobEdgeKeys("key"), SECRETS),
      },
      { job: 4000 },
    );
    await this.ready();
  }

  close(): void {
    for (const stop of this.stops) stop();
    this.origin.close();
    for (const dir of this.dirs) rmSync(dir, { recursive: true, force: true });
  }

  /** Runs one HAProxy on free ports of loopback, with everything that it reads in a directory of its own. */
  private async start(
    assets: Record<string, string>,
    files: Record<string, string>,
    ports: Partial<Record<Listener, number>>,
  ): Promise<void> {
    const dir = scratch("listeners");
    this.dirs.push(dir);
    for (const [name, asset] of Object.entries(assets))
      cpSync(join(__dirname, "../../assets", asset), join(dir, name));
    let config = files["haproxy.cfg"]!.replaceAll("/tmp/", "PRIVATE/")
      .replaceAll("/etc/gpubox", dir)
      .replaceAll("PRIVATE/", `${dir}/`);
    const inside = [
      ...new Set([...config.matchAll(/^ {2}bind (?:127\.0\.0\.1)?:(\d+)/gm)].map(([, port]) => Number(port))),
    ];
    for (const port of inside) {
      const own = await freePort();
      config = config.replaceAll(
        new RegExp(`^ {2}bind (127\\.0\\.0\\.1)?:${port}(?=\\s)`, "gm"),
        `  bind 127.0.0.1:${own}`,
      );
      for (const [name, wanted] of Object.entries(ports))
        if (wanted === port) this.ports[name as Listener] = own;
    }
    for (const [file, text] of Object.entries({ ...files, "haproxy.cfg": config }))
      writeFileSync(join(dir, file), text);
    chmodSync(dir, 0o777);
    for (const file of readdirSync(dir)) chmodSync(join(dir, file), 0o644);
    this.stops.push(run(this.runner, dir));
  }

  private async ready(): Promise<void> {
    for (const [name, port] of Object.entries(this.ports))
      await until(`${name} listens`, () => isOpen(port), { seconds: 60, everyMs: 50 });
  }
}

/** Runs haproxy.cfg of `dir`; gives what ends it. */
function run(runner: Runner, dir: string): () => void {
  if (runner === "machine") {
    const child: ChildProcess = spawn("haproxy", ["-db", "-f", join(dir, "haproxy.cfg")], {
      stdio: "ignore",
    });
    return () => child.kill("SIGKILL");
  }
  const args = ["run", "--detach", "--rm", "--network", "host", "--user", "99:99", "--cap-drop", "ALL"];
  const command = ["--entrypoint", "haproxy", runner.image, "-db", "-f", `${dir}/haproxy.cfg`];
  const id = execFileSync("docker", [...args, "--volume", `${dir}:${dir}`, ...command])
    .toString()
    .trim();
  return () => void spawnSync("docker", ["rm", "--force", id]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
