import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { modelPort } from "../../../configs/stack/instances";
import { output, type RunResult } from "../../../platform/process";
import { allocate } from "../../support/allocate";
import { containersOf, editStack } from "../../support/box";
import { makeCertificate, type Pair } from "../../support/certificates";
import { commandLines } from "../../support/leaks";
import { has } from "../../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../../support/project";
import { type Exchange, exchange, type Patience, type RawAnswer, type Wire } from "../../support/rawHttp";
import { CANARY, CANARY_PORTS, type Kept, PROVIDERS, startServer } from "./servers";

export const { stack: STACK, port: PORT } = allocate("attack");
const BODY_MIB = 2;
/** The stack's limit on a body, in bytes. */
export const BODY_LIMIT = BODY_MIB * 1024 ** 2;
/** The stack's limit on parallel requests. */
export const MOST_AT_ONCE = 100;
const DIRECT_PORT = PORT + 5;
const JOB_PORT = PORT + 6;
/** Pulumi where it is installed, because what it keeps may leak too; otherwise Compose. */
const ENGINE = has("pulumi") ? [] : ["--engine", "compose"];
export const HOST = "box.test";

/** Secrets that are easy to find wherever they leak. */
export const planted: Record<string, string> = {
  masterKey: "sk-PLANTED-master-7f3a0c5e9b1d24680ace",
  saltKey: "sk-PLANTED-salt-4be1d90f62a85c3713fb",
  cachePassword: "PLANTED-cache-0d5b8e27f1a94c63",
  databasePassword: "PLANTED-database-9a61c3f8e5d70b42",
  farKey: "PLANTED-far-c80e57b3492fd16a",
  directKey: "PLANTED-direct-5e0f9d3c61b7a284",
  jobKey: "PLANTED-job-2c94e8f07b5d1a63",
};

export type Name = "clients" | "admin" | "direct" | "job" | "clients with TLS" | "admin with TLS";

/** A port of the box, with what its clients know. */
export interface Listener extends Wire {
  name: Name;
  /** Value of `Host`. */
  host: string;
  key: string;
  /** A model that the upstream serves. */
  model: string;
}

const plain: Listener[] = [
  { name: "clients", port: PORT, host: "127.0.0.1", key: planted.masterKey!, model: "far" },
  { name: "admin", port: PORT + 1, host: "127.0.0.1", key: planted.masterKey!, model: "far" },
  { name: "direct", port: DIRECT_PORT, host: "127.0.0.1", key: planted.directKey!, model: "bent" },
  { name: "job", port: JOB_PORT, host: "127.0.0.1", key: planted.jobKey!, model: "far" },
];
const tls: Wire["tls"] = { alpn: "http/1.1", servername: HOST };
const encrypted: Listener[] = [
  { ...plain[0]!, name: "clients with TLS", host: HOST, tls },
  // `encrypt` fills in the address.
  { ...plain[1]!, name: "admin with TLS", host: HOST, tls },
];

export const PLAIN = plain.map(({ name }) => name);
export const ENCRYPTED = encrypted.map(({ name }) => name);

/** A request as an attacker builds it. */
export interface Attempt {
  method?: string;
  path: string;
  /** Header lines as sent, besides Host, the key and `Connection: close`. */
  headers?: string[];
  /** Leaves out Host and the key. */
  bare?: boolean;
  body?: string;
}

/** A box with everything that can be attacked, its upstream, and a canary. */
export class AttackBox {
  /** Command lines of all processes while `up` ran. */
  readonly seenArgv: string[] = [];
  /** Output of each `up` and `job start`. */
  readonly said: RunResult[] = [];
  readonly began = new Date().toISOString();
  private running: Record<string, string> = {};

  private constructor(
    readonly project: TestProject,
    private readonly controls: Record<"upstream" | "canary", string>,
    private readonly pair: Pair,
  ) {}

  static async open(): Promise<AttackBox> {
    const pair = makeCertificate({ names: [HOST] });
    planted.tlsKey = pair.key.split("\n")[1]!;
    const project = makeProject(STACK, PORT, {
      database: { mode: "bundled" },
      gateway: {
        ...{ port: PORT, drainTimeout: 5, trajectories: true, hosts: [HOST] },
        // A retry would only repeat the refusal.
        routing: { retries: 0 },
        limits: {
          maxParallel: MOST_AT_ONCE,
          maxBodyMiB: { chat: BODY_MIB, embeddings: BODY_MIB, audio: BODY_MIB },
        },
      },
      cache: { ttlSeconds: 3600 },
      models: {
        tiny: {
          engine: "llamacpp",
          model: "canned",
          memoryMiB: 2048,
          threads: 1,
          parallel: 1,
          ctxSize: 8192,
        },
        // The upstream stands in for its server, behind the valve.
        bent: {
          ...{ engine: "llamacpp", model: "canned", memoryMiB: 512, start: "manual" },
          expose: { port: DIRECT_PORT, key: { secret: "directKey" } },
        },
        far: far("far"),
        vectors: far("vectors", { mode: "embedding" }),
        ears: far("ears", { mode: "audio_transcription" }),
      },
      jobs: {
        eval: {
          upstream: { baseUrl: upstreamUrl, model: "far", apiKey: { secret: "farKey" } },
          ...{ port: JOB_PORT, key: { secret: "jobKey" } },
        },
      },
    });
    const { tlsKey: _, ...secrets } = planted;
    addSecrets(project, secrets);
    try {
      const argv: string[] = [];
      const up = await watched(argv, () => gpubox(project, "up", "--yes", ...ENGINE));
      if (up.code !== 0) throw new Error(`up: ${up.stdout}${up.stderr}`);
      const upstream = await startServer(
        project,
        STACK,
        "upstream",
        [modelPort("bent"), 8000].map(String),
        [],
      );
      // Compose starts every model, also this one.
      await output("docker", ["stop", `gpubox-${STACK}-backend-bent`]);
      await output("docker", [
        ...["network", "connect", "--alias", "backend-bent"],
        ...[`gpubox-${STACK}-backends`, `gpubox-${STACK}-upstream`],
      ]);
      const canary = await startServer(project, STACK, "canary", CANARY_PORTS, [CANARY, ...PROVIDERS]);
      const box = new AttackBox(project, { upstream, canary }, pair);
      box.seenArgv.push(...argv);
      box.said.push(up);
      const job = await watched(box.seenArgv, () => gpubox(project, "job", "start", "eval"));
      if (job.code !== 0) throw new Error(`job start: ${job.stdout}${job.stderr}`);
      box.said.push(job);
      box.running = await containersOf(STACK);
      return box;
    } catch (error) {
      removeProject(project);
      throw error;
    }
  }

  close(): void {
    removeProject(this.project);
  }

  /** Switches the clients' port to TLS, and the admin port too, on a second address. */
  async encrypt(): Promise<void> {
    addSecrets(this.project, { tlsKey: this.pair.key, tlsCertificate: this.pair.certificate });
    // An address of this machine that containers can reach.
    const gateway = `{{(index .NetworkSettings.Networks "gpubox-${STACK}-edge").Gateway}}`;
    const bind = await output("docker", ["inspect", "--format", gateway, this.container("upstream")]);
    this.listener("admin with TLS").address = bind;
    editStack(this.project, (config) => {
      const sections = config as unknown as Record<string, Record<string, unknown>>;
      Object.assign(sections["gpubox:gateway"]!, {
        tls: { certificate: { secret: "tlsCertificate" }, key: { secret: "tlsKey" } },
        admin: { bind },
      });
    });
    const up = await watched(this.seenArgv, () => gpubox(this.project, "up", "--yes", ...ENGINE));
    if (up.code !== 0) throw new Error(`up with TLS: ${up.stdout}${up.stderr}`);
    this.said.push(up);
    await output("docker", ["stop", `gpubox-${STACK}-backend-bent`]);
    this.running = await containersOf(STACK);
  }

  listener(name: Name): Listener {
    return [...plain, ...encrypted].find((one) => one.name === name)!;
  }

  /** A container's name by its role: under Pulumi a gateway's name includes its generation. */
  container(role: string): string {
    return this.running[role] ?? `gpubox-${STACK}-${role}`;
  }

  docker(...args: string[]): Promise<string> {
    return output("docker", args);
  }

  /** Sends one request and returns the first answer. */
  async ask(to: Listener, attempt: Attempt, patience?: Patience): Promise<RawAnswer> {
    const { answers } = await this.send(to, attempt, patience);
    return answers[0] ?? { status: 0, headers: {}, body: "" };
  }

  send(to: Listener, attempt: Attempt, patience?: Patience): Promise<Exchange> {
    return exchange(to, requestText(to, attempt), patience);
  }

  post(to: Listener, path: string, body: unknown, patience?: Patience): Promise<RawAnswer> {
    const attempt = { method: "POST", path, headers: [JSON_TYPE], body: JSON.stringify(body) };
    return this.ask(to, attempt, patience);
  }

  /** The requests that reached the upstream or the canary since the last `forget`. */
  async kept(where: "upstream" | "canary"): Promise<{ requests: Kept[]; most: number }> {
    const answer = await fetch(this.controls[where]);
    return (await answer.json()) as { requests: Kept[]; most: number };
  }

  async forget(where: "upstream" | "canary"): Promise<void> {
    await fetch(this.controls[where], { method: "DELETE" });
  }
}

export const JSON_TYPE = "Content-Type: application/json";
const upstreamUrl = `http://gpubox-${STACK}-upstream:8000/v1`;

function far(model: string, more: Record<string, unknown> = {}) {
  return {
    ...{ engine: "openai", baseUrl: upstreamUrl, model, apiKey: { secret: "farKey" }, start: "manual" },
    ...more,
  };
}

/** A request's bytes, as well-formed as `attempt` is. */
export function requestText(to: Listener, attempt: Attempt): string {
  const { method = "GET", path, headers = [], bare, body } = attempt;
  const own = bare ? [] : [`Host: ${to.host}`, `Authorization: Bearer ${to.key}`];
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...[...own, ...headers, "Connection: close"],
    ...(body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body, "latin1")}`]),
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** Declares a test for each listener of `names` that is up. */
export function testOn(
  on: readonly Name[],
  names: readonly Name[],
  claim: string,
  act: (name: Name) => Promise<void>,
  timeoutMs?: number,
): void {
  for (const name of names.filter((one) => on.includes(one)))
    test(`${name}: ${claim}`, () => act(name), timeoutMs);
}

/** Adds secrets to the file from which `up` copies them into the config. */
function addSecrets({ dir }: TestProject, secrets: Record<string, string>): void {
  const root = join(dir, ".gpubox");
  mkdirSync(root, { mode: 0o700, recursive: true });
  const path = join(root, `secrets.${STACK}.json`);
  const there = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Record<string, string>) : {};
  writeFileSync(path, JSON.stringify({ ...there, ...secrets }), { mode: 0o600 });
}

async function watched<Result>(seen: string[], act: () => Promise<Result>): Promise<Result> {
  const watch = setInterval(() => seen.push(commandLines()), 100);
  try {
    return await act();
  } finally {
    clearInterval(watch);
  }
}
