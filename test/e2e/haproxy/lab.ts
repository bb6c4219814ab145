import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderText, type SecretValues } from "../../../configs/kit/text";
import { CANARY_ASSETS } from "../../../configs/plan/haproxy/canary";
import { EDGE_ASSETS, type EdgeOptions, edgeConfig } from "../../../configs/plan/haproxy/edge";
import { edgeKeys } from "../../../configs/plan/haproxy/edgeKeys";
import { ADMIN_TLS_PORT, CERTIFICATES_DIR, HTTP_PORT } from "../../../configs/plan/haproxy/tls";
import {
  VALVE_ASSETS,
  VALVE_COMMAND,
  type ValveOptions,
  valveConfig,
} from "../../../configs/plan/haproxy/valve";
import { output, type RunResult, run } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import { allocate, scratch } from "../../support/allocate";
import { missing, orSkip } from "../../support/needs";
import { until } from "../../support/wait";

const ROOT = join(__dirname, "../../..");

/** The image that the recipe makes; another one by the environment. */
export const edgeImage = process.env.GPUBOX_TEST_EDGE_IMAGE ?? builtImage("edge");
/** Any image with python3. */
export const stubImage = builtImage("gateway");

/** What is missing of the images. */
const wants = [...(edgeImage ? [] : ["the image gpubox/edge"]), ...missing("the image gpubox/gateway")];
export const describeLab: jest.Describe = orSkip(describe, wants.join(", "));

function builtImage(role: "edge" | "gateway"): string | undefined {
  const reference = recipeReference(ROOT, role);
  const found = spawnSync("docker", ["image", "inspect", reference]).status === 0;
  return found ? reference : undefined;
}

export const MASTER_KEY = "sk-lab-master";
export const PREVIOUS_KEY = "sk-lab-previous";

/** What an edge is started with; the rest are the options of a real one. */
export interface LabEdge extends Partial<EdgeOptions> {
  /** Gateways that it begins with. */
  upstream?: string[];
  /** Directory of this machine that holds tls.pem. */
  certificates?: string;
  secrets?: SecretValues;
}

/** A Docker network with an edge or a valve and stubs on it. Everything in it carries one prefix and goes at the end. */
export class Lab {
  private readonly own = allocate("haproxy");
  readonly prefix = `gpubox-${this.own.stack}`;
  readonly dir = scratch("haproxy");
  /** Ports on this machine's loopback. */
  clientPort = 0;
  adminPort = 0;
  /** Only where the edge speaks TLS. */
  adminTlsPort = 0;
  plainPort = 0;
  private containers: string[] = [];

  async open(): Promise<this> {
    chmodSync(this.dir, 0o755);
    await output("docker", ["network", "create", this.prefix]);
    return this;
  }

  async close(): Promise<void> {
    await run("docker", ["rm", "--force", "--volumes", ...this.containers]);
    await run("docker", ["network", "rm", this.prefix]);
    await run("docker", ["volume", "rm", `${this.prefix}-state`]);
    rmSync(this.dir, { recursive: true });
  }

  /** Name of the container for a short name. */
  name(short: string): string {
    return `${this.prefix}-${short}`;
  }

  docker(...args: string[]): Promise<string> {
    return output("docker", args);
  }

  exec(short: string, ...command: string[]): Promise<RunResult> {
    return run("docker", ["exec", this.name(short), ...command]);
  }

  /** Starts a stub and waits until it listens. */
  async stub(short: string, env: Record<string, string> = {}): Promise<void> {
    const variables = Object.entries({ NAME: short, ...env }).flatMap(([name, value]) => [
      "--env",
      `${name}=${value}`,
    ]);
    const stub = join(__dirname, "stub.py");
    await this.start(short, [
      ...variables,
      ...["--volume", `${stub}:/stub.py:ro`, "--entrypoint", "python3", stubImage!, "/stub.py"],
    ]);
    await eventually(async () =>
      (await run("docker", ["logs", this.name(short)])).stderr.includes("listening"),
    );
  }

  /** Waits until a stub that was killed is gone. */
  gone(short: string): Promise<void> {
    const args = ["inspect", "--format", "{{.State.Running}}", this.name(short)];
    return eventually(async () => (await this.docker(...args)) === "false");
  }

  /** Starts a stub again that was killed; starting one that is just dying would do nothing. */
  async revive(short: string): Promise<void> {
    await this.gone(short);
    await this.docker("start", this.name(short));
  }

  /** Writes the edge's directory anew, as a change of the stack's config does. */
  writeEdge({ secrets, upstream, certificates, ...options }: LabEdge = {}): void {
    const values = { masterKey: MASTER_KEY, ...secrets };
    const keys = edgeKeys({ previousMasterKey: secrets?.previousMasterKey !== undefined });
    const config = edgeConfig({
      hosts: ["box.example"],
      auth: "key",
      keys: "virtual",
      adminEndpoint: "http://127.0.0.1:4001",
      ...options,
    });
    this.writeFiles("edge", EDGE_ASSETS, {
      "haproxy.cfg": renderText(config, values),
      "keys.map": renderText(keys, values),
    });
  }

  /** Starts an edge, hardened as a real one, and waits until it is healthy. */
  async edge(options: LabEdge = {}): Promise<void> {
    this.writeEdge(options);
    const { port } = this.own;
    [this.clientPort, this.adminPort, this.adminTlsPort, this.plainPort] = [
      port,
      port + 1,
      port + 2,
      port + 3,
    ];
    const state = `${this.prefix}-state`;
    await this.docker(
      "run",
      "--rm",
      "--user",
      "0:0",
      "--volume",
      `${state}:/state`,
      edgeImage!,
      "chown",
      "99:99",
      "/state",
    );
    await this.hardened(
      "edge",
      ["bash", "/etc/gpubox/entrypoint.sh"],
      [
        ...["--volume", `${state}:/var/lib/gpubox`],
        ...[
          "--env",
          `GPUBOX_UPSTREAM=${(options.upstream ?? []).map((short) => this.name(short)).join(" ")}`,
        ],
        ...[
          [this.clientPort, 4000],
          [this.adminPort, 4001],
          ...(options.tls
            ? [
                [this.adminTlsPort, ADMIN_TLS_PORT],
                [this.plainPort, HTTP_PORT],
              ]
            : []),
        ].flatMap(([port, inside]) => ["--publish", `127.0.0.1:${port}:${inside}`]),
        ...(options.certificates ? ["--volume", `${options.certificates}:${CERTIFICATES_DIR}:ro`] : []),
        ...(options.hosts ?? []).flatMap((host) => ["--network-alias", host]),
      ],
    );
  }

  /** Writes the valve's directory anew. `canary`: a stub that may get a share. */
  writeValve(short: string, options: Omit<ValveOptions, "backend">, canary?: string): void {
    const backend = {
      ...{ name: this.name(short), port: 4000, healthPath: "/health" },
      ...(canary && { standIn: this.name(canary), canary: true }),
    };
    const config = valveConfig({ backend, ...options });
    const assets = { ...VALVE_ASSETS, ...(canary && CANARY_ASSETS) };
    this.writeFiles("valve", assets, { "haproxy.cfg": renderText(config, {}), "moved.map": "" });
  }

  /** Starts a valve before the stub `short`. */
  async valve(short: string, options: Omit<ValveOptions, "backend">, canary?: string): Promise<void> {
    this.writeValve(short, options, canary);
    this.clientPort = this.own.port + 4;
    await this.hardened("valve", VALVE_COMMAND, ["--publish", `127.0.0.1:${this.clientPort}:8080`]);
  }

  /** Runs switch.sh with short names, and with less patience than at a box. */
  switch(...gateways: string[]): Promise<RunResult> {
    const command = ["env", "GPUBOX_UP_SECONDS=5", "bash", "/etc/gpubox/switch.sh"];
    return this.exec("edge", ...command, ...gateways.map((short) => this.name(short)));
  }

  /** Lines of `switch.sh --status` with short names. */
  async status(): Promise<string[]> {
    const { stdout } = await this.exec("edge", "bash", "/etc/gpubox/switch.sh", "--status");
    return stdout.replaceAll(`${this.prefix}-`, "").split("\n").filter(Boolean);
  }

  reload(short = "edge"): Promise<RunResult> {
    return this.exec(short, "bash", "/etc/gpubox/reload.sh");
  }

  /** A runtime command of the serving worker. */
  async runtime(command: string): Promise<string> {
    const script = 'source /etc/gpubox/control.sh; ask "$1"';
    return (await this.exec("edge", "bash", "-c", script, "_", command)).stdout;
  }

  private async hardened(short: string, command: string[], args: string[]): Promise<void> {
    await this.start(short, [
      ...["--user", "99:99", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
      ...["--tmpfs", "/tmp:rw,noexec,nosuid,size=64m", "--volume", `${join(this.dir, short)}:/etc/gpubox:ro`],
      ...args,
      ...["--entrypoint", command[0]!, edgeImage!, ...command.slice(1)],
    ]);
    await eventually(async () => (await this.exec(short, "bash", "/etc/gpubox/health.sh")).code === 0);
  }

  /** Starts any container on the lab's network. `args`: what follows the options of `docker run`. */
  async start(short: string, args: string[]): Promise<void> {
    const name = this.name(short);
    this.containers.push(name);
    await this.docker("run", "--detach", "--name", name, "--network", this.prefix, ...args);
  }

  private writeFiles(short: string, assets: Record<string, string>, texts: Record<string, string>): void {
    const dir = join(this.dir, short);
    for (const [file, asset] of Object.entries(assets)) cpSync(join(ROOT, "assets", asset), join(dir, file));
    for (const [file, text] of Object.entries(texts)) writeFileSync(join(dir, file), text);
    for (const file of readdirSync(dir)) chmodSync(join(dir, file), 0o644);
  }
}

/** Waits until `check` is true. */
export async function eventually(check: () => Promise<boolean>): Promise<void> {
  await until(`${check}`, check, { seconds: 60 });
}
