import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { modelPort } from "../../../configs/stack/instances";
import { output, type RunResult } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import { allocate } from "../../support/allocate";
import { containersOf, editStack } from "../../support/box";
import { makeCertificate, type Pair } from "../../support/certificates";
import { commandLines } from "../../support/leaks";
import { has } from "../../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../../support/project";
import { type Exchange, exchange, type Patience, type RawAnswer, type Wire } from "../../support/rawHttp";
import { until } from "../../support/wait";

export const { stack: STACK, port: PORT } = allocate("attack");
const BODY_MIB = 2;
/** What the stack says of bodies, in bytes. */
export const BODY_LIMIT = BODY_MIB * 1024 ** 2;
/** What the stack says of requests at the same time. */
export const MOST_AT_ONCE = 100;
const DIRECT_PORT = PORT + 5;
const JOB_PORT = PORT + 6;
/** Compose brings a box up sooner; what Pulumi keeps is looked at where it is there. */
const ENGINE = has("pulumi") ? [] : ["--engine", "compose"];
export const HOST = "box.test";

/** Where nothing may ever ask. The names of providers lead there too, so that no attack leaves this machine. */
export const CANARY = "canary.test";
const PROVIDERS = [
  ...["api.openai.com", "api.anthropic.com", "inference.baseten.co", "bridge.baseten.co", "openrouter.ai"],
  ...["api.groq.com", "api.mistral.ai", "api.together.xyz", "api.cohere.com", "api.deepseek.com"],
  ...["generativelanguage.googleapis.com", "oauth2.googleapis.com", "metadata.google.internal"],
  ...["sts.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com", "login.microsoftonline.com"],
  ...[
    "huggingface.co",
    "api-inference.huggingface.co",
    "raw.githubusercontent.com",
    "api.smith.langchain.com",
  ],
  ...["cloud.langfuse.com", "us.cloud.langfuse.com", "app.posthog.com", "hooks.slack.com"],
];
const CANARY_PORTS = ["80", "443", "3000", "8000", "8080", "11434"];

/** Values that can be found wherever they leak to. */
export const planted: Record<string, string> = {
  masterKey: "sk-PLANTED-master-7f3a0c5e9b1d24680ace",
  saltKey: "sk-PLANTED-salt-4be1d90f62a85c3713fb",
  cachePassword: "PLANTED-cache-0d5b8e27f1a94c63",
  databasePassword: "PLANTED-database-9a61c3f8e5d70b42",
  farKey: "PLANTED-far-c80e57b3492fd16a",
  directKey: "PLANTED-direct-5e0f9d3c61b7a284",
  jobKey: "PLANTED-job-2c94e8f07b5d1a63",
};

/** A request as the upstream or a canary got it. */
export interface Kept {
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

export type Name = "clients" | "admin" | "direct" | "job" | "clients with TLS" | "admin with TLS";

/** A port of the box, and what a client of it has. */
export interface Listener extends Wire {
  name: Name;
  /** What `Host` says. */
  host: string;
  key: string;
  /** A model whose server is the upstream. */
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
  // The address is known once there is an engine.
  { ...plain[1]!, name: "admin with TLS", host: HOST, tls },
];

export const PLAIN = plain.map(({ name }) => name);
export const ENCRYPTED = encrypted.map(({ name }) => name);

/** What a request is made of, as an attacker would have it. */
export interface Attempt {
  method?: string;
  path: string;
  /** Fields as they are sent. Host, the key and `Connection: close` are there already. */
  headers?: string[];
  /** Leaves Host and the key out. */
  bare?: boolean;
  body?: string;
}

/** A box with everything that can be attacked, its upstream, and a canary. */
export class AttackBox {
  /** Command lines of all processes while `up` ran. */
  readonly seenArgv: string[] = [];
  /** What `up` said. */
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
      gateway: {
        ...{ port: PORT, drainTimeout: 5, trajectories: true, hosts: [HOST] },
        // What is refused once is not worth another try.
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
        // Its server is the upstream, at the valve's other side.
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
      const upstream = await serve(project, "upstream", [modelPort("bent"), 8000].map(String), []);
      // Compose starts it like the others.
      await output("docker", ["stop", `gpubox-${STACK}-backend-bent`]);
      await output("docker", [
        ...["network", "connect", "--alias", "backend-bent"],
        ...[`gpubox-${STACK}-backends`, `gpubox-${STACK}-upstream`],
      ]);
      const canary = await serve(project, "canary", CANARY_PORTS, [CANARY, ...PROVIDERS]);
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

  /** From here on the clients' port speaks TLS, and the admin port on a second address. */
  async encrypt(): Promise<void> {
    addSecrets(this.project, { tlsKey: this.pair.key, tlsCertificate: this.pair.certificate });
    // An address of this machine that a container sees, as one of the network would be.
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

  /** By its role: under Pulumi a gateway's name has its generation in it. */
  container(role: string): string {
    return this.running[role] ?? `gpubox-${STACK}-${role}`;
  }

  docker(...args: string[]): Promise<string> {
    return output("docker", args);
  }

  /** One request as bytes, and the first answer to it. */
  async ask(to: Listener, attempt: Attempt, patience?: Patience): Promise<RawAnswer> {
    const { answers } = await this.send(to, attempt, patience);
    return answers[0] ?? { status: 0, headers: {}, body: "" };
  }

  send(to: Listener, attempt: Attempt, patience?: Patience): Promise<Exchange> {
    return exchange(to, requestText(to, attempt), patience);
  }

  /** A POST of JSON. */
  post(to: Listener, path: string, body: unknown, patience?: Patience): Promise<RawAnswer> {
    const attempt = { method: "POST", path, headers: [JSON_TYPE], body: JSON.stringify(body) };
    return this.ask(to, attempt, patience);
  }

  /** What came to the upstream, or to where nothing may come, since it was told to forget. */
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

/** Bytes of a request that is well-formed as far as `attempt` is. */
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

/** A test for each of these listeners that is one of those which are up. */
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

/** `up` takes them from this file into the config where it has an engine. */
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

/** Starts attackServer.py on the network that the gateways go out by. Gives the URL that tells what it kept. */
async function serve(
  { dir }: TestProject,
  role: "upstream" | "canary",
  ports: string[],
  aliases: string[],
): Promise<string> {
  const name = `gpubox-${STACK}-${role}`;
  await output("docker", [
    ...["run", "--detach", "--name", name, "--network", `gpubox-${STACK}-edge`],
    ...aliases.flatMap((alias) => ["--network-alias", alias]),
    ...["--publish", "127.0.0.1::9000", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0"],
    // By the first label the test's cleaning up finds it; by the last one, `gpubox up` leaves it alone.
    ...["--label", `gpubox.stack=${STACK}`, "--label", `gpubox.role=${role}`, "--label", "gpubox.keep=test"],
    ...["--user", "65534:65534", "--entrypoint", "python3"],
    ...["--volume", `${join(dir, "test", "support", "attackServer.py")}:/server.py:ro`],
    ...[recipeReference(dir, "gateway"), "/server.py", role, ...ports],
  ]);
  const url = `http://${await output("docker", ["port", name, "9000/tcp"])}`;
  const asked = () => fetch(url, { signal: AbortSignal.timeout(5_000) });
  await until(
    `${name} listens`,
    () =>
      asked().then(
        ({ ok }) => ok,
        () => false,
      ),
    { seconds: 20 },
  );
  return url;
}
