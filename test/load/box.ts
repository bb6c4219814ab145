import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, type RunResult, run } from "../../platform/process";
import { scratch } from "../support/allocate";
import { runBeside } from "../support/beside";
import { editStack, exportsIn } from "../support/box";
import { gpubox, makeProject, placeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";
import { Load, type LoadOptions } from "./client";

/** The stack's config as an editor sees it. */
export type Sections = Record<string, Record<string, unknown>>;

/** Sections of a box that keeps keys and spend, as the README's two commands make it. */
export const STATEFUL: Sections = { database: { mode: "bundled" } };

const STUB_PORT = 8000;
/** Seconds: above the longest stream of a usual load, so that every drain ends by itself. */
const DRAIN_TIMEOUT = 90;
const COMMAND_TIMEOUT_MS = 600_000;

/** How a change ended. */
export interface Change extends RunResult {
  /** Seconds from the edit until the edge served another gateway than before; undefined when it never did. */
  served?: number;
}

/** A version of this project. */
export interface Release {
  place: (dir: string) => void;
  up: (project: TestProject) => Promise<RunResult>;
}

const THIS_RELEASE: Release = { place: placeProject, up: (project) => gpubox(project, "up", "--yes") };

/** A box of its own with the stub behind it as the model `echo`. */
export class LoadBox {
  key = "";
  private exports: string[] = [];

  private constructor(
    readonly project: TestProject,
    private readonly stub: string,
  ) {}

  /**
   * Brings the box up; `port` and the next one have to be free.
   *
   * @param release fills the project's folder and brings it up; default: this project
   * @param more other sections of the stack's config, and more of the gateway's
   * @param edit what else is in the stack's config
   */
  static async open(
    stack: string,
    port: number,
    models: Record<string, unknown> = {},
    release: Release = THIS_RELEASE,
    { gateway: moreOfGateway = {}, ...more }: Sections = {},
    edit: (config: Sections, box: LoadBox) => void = () => {},
  ): Promise<LoadBox> {
    const gateway = { port, drainTimeout: DRAIN_TIMEOUT, ...moreOfGateway };
    const project = makeProject(stack, port, { gateway, models, ...more }, {}, release.place);
    const box = new LoadBox(project, `gpubox-${stack}-stub`);
    try {
      box.edit((config) => {
        // The stub lives on a network that `up` makes, so that `up` does not ask it.
        setModel(config, "echo", { ...box.stubModel("echo"), start: "manual" });
        edit(config, box);
      });
      const up = await release.up(box.project);
      mustSucceed(up);
      box.exports = exportsIn(up.stdout);
      box.key = (await box.shell(`pulumi config get gpubox:masterKey --stack ${stack}`)).stdout.trim();
      await box.startStub();
      return box;
    } catch (error) {
      box.close();
      throw error;
    }
  }

  close(): void {
    removeProject(this.project);
  }

  /** An entry for another of the stub's models, see stub.py. */
  stubModel(model: string): Record<string, unknown> {
    return { engine: "openai", baseUrl: `http://${this.stub}:${STUB_PORT}/v1`, model };
  }

  /** Clients on this box; they ask the stub unless said otherwise. */
  load(options: Partial<LoadOptions> = {}): Promise<Load> {
    return new Load({ endpoint: this.project.endpoint, key: this.key, model: "echo", ...options }).start();
  }

  edit(edit: (config: Sections) => void): void {
    editStack(this.project, (config) => edit(config as unknown as Sections));
  }

  /** The command that a person types after an edit. */
  get pulumiUp(): string {
    return `pulumi up --yes --skip-preview --stack ${this.project.stack}`;
  }

  /** A command of the program as a person types it. */
  command(name: string): string {
    return `npx gpubox ${name} --stack ${this.project.stack}`;
  }

  /** A command in a normal shell in the project's folder. */
  shell(command: string, options: { stdin?: string; timeoutMs?: number } = {}): Promise<RunResult> {
    const { dir, env } = this.project;
    const script = [...this.exports, command].join("\n");
    return run("bash", ["-c", script], { cwd: dir, env, timeoutMs: COMMAND_TIMEOUT_MS, ...options });
  }

  async setSecret(name: string, value: string): Promise<void> {
    const set = `pulumi config set --secret gpubox:${name} --stack ${this.project.stack}`;
    mustSucceed(await this.shell(set, { stdin: value }));
  }

  /** Edits the config, runs `pulumi up` or another command, and watches when the edge moves. */
  async change(
    edit: (config: Sections) => void,
    command = this.pulumiUp,
    timeoutMs = COMMAND_TIMEOUT_MS,
  ): Promise<Change> {
    const before = this.serving();
    this.edit(edit);
    const start = performance.now();
    let served: number | undefined;
    const watch = setInterval(() => {
      if (served === undefined && this.serving() !== before) served = (performance.now() - start) / 1000;
    }, 50);
    const result = await this.shell(command, { timeoutMs });
    clearInterval(watch);
    return { ...result, served };
  }

  /** The config as it is now, and the key that opens it. */
  remember(): { file: string; key: string } {
    return { file: readFileSync(this.stackFile, "utf8"), key: this.key };
  }

  /** Puts a config back and converges to it, so that a scene which broke does not break those after it. */
  async recall({ file, key }: { file: string; key: string }): Promise<void> {
    writeFileSync(this.stackFile, file);
    this.key = key;
    mustSucceed(await this.shell(this.command("up")));
  }

  /** Copies every container's log to a folder of its own and returns its path. */
  async keepLogs(name: string): Promise<string> {
    const folder = scratch(`load-${name}`);
    const list = [
      "ps",
      "-a",
      "--filter",
      `label=gpubox.stack=${this.project.stack}`,
      "--format",
      "{{.Names}}",
    ];
    for (const container of (await output("docker", list)).split("\n").filter(Boolean)) {
      const { stdout, stderr } = await run("docker", ["logs", "--timestamps", container]);
      writeFileSync(join(folder, `${container}.log`), stdout + stderr);
    }
    return folder;
  }

  private get stackFile(): string {
    return join(this.project.dir, `Pulumi.${this.project.stack}.yaml`);
  }

  /** Starts a command in the background; `seen` waits for a text in its output, false when it ended without. */
  background(command: string) {
    const { dir, env } = this.project;
    const script = [...this.exports, `exec ${command}`].join("\n");
    const child = spawn("bash", ["-c", script], {
      cwd: dir,
      env: { ...process.env, ...env },
      detached: true,
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        text += chunk;
      });
    const ended = new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 137)));
    let over = false;
    void ended.then(() => {
      over = true;
    });
    const seen = async (pattern: RegExp) => {
      await until(`${pattern} in its output, or its end`, () => pattern.test(text) || over, {
        seconds: COMMAND_TIMEOUT_MS / 1000,
        everyMs: 20,
      });
      return pattern.test(text);
    };
    const kill = (signal: "SIGINT" | "SIGKILL") => !over && process.kill(-child.pid!, signal);
    return { ended, seen, kill, output: () => text };
  }

  /** Names of the gateways that the edge sends to, as the edge wrote them down, joined by a comma. */
  serving(): string {
    const path = join(this.project.dataDir, "edge-state", "upstream.cfg");
    if (!existsSync(path)) return "";
    const names = readFileSync(path, "utf8").matchAll(/^ *server s\d+ (\S+):4000$/gm);
    return [...names].map((match) => match[1]).join(",");
  }

  /** Names of the gateway containers that exist, running or not. */
  async gateways(): Promise<string[]> {
    const filter = ["--filter", `label=gpubox.stack=${this.project.stack}`];
    const list = ["ps", "-a", ...filter, "--filter", "label=gpubox.role=gateway", "--format", "{{.Names}}"];
    return (await output("docker", list)).split("\n").filter(Boolean).sort();
  }

  /** Main process, on this host, of a container. */
  async mainProcess(container: string): Promise<number> {
    return Number(await output("docker", ["inspect", "--format", "{{.State.Pid}}", container]));
  }

  /** Public names that the box lists; the status as text where it does not. */
  async models(headers: Record<string, string> = {}): Promise<string> {
    const fields = Object.entries({ authorization: `Bearer ${this.key}`, ...headers });
    const lines = fields.map(([name, value]) => `header = "${name}: ${value}"`).join("\n");
    const url = `${this.project.endpoint}/v1/models`;
    const curl = ["-s", "-w", "\n%{http_code}", "--max-time", "5", "--config", "-", url];
    // curl and not fetch, which sends no Host of one's own; the key goes in on standard input, not in the command line.
    const { stdout } = await run("curl", curl, { stdin: lines });
    const [body, status] = stdout.split("\n");
    if (status !== "200") return status ?? "";
    const { data } = JSON.parse(body ?? "") as { data: { id: string }[] };
    return data.map(({ id }) => id).join(",");
  }

  /** Seconds until `holds` does, asked every 100 ms. */
  async secondsUntil(holds: () => Promise<boolean> | boolean, limit = 90): Promise<number> {
    const start = performance.now();
    const seconds = () => (performance.now() - start) / 1000;
    await until("the box gets there", holds, { seconds: limit });
    return seconds();
  }

  private async startStub(): Promise<void> {
    const options = ["--restart", "unless-stopped"];
    const args = [String(STUB_PORT)];
    await runBeside(this.project, { role: "stub", script: "load/stub.py", options, args });
  }
}

export function setModel(config: Sections, name: string, model: Record<string, unknown>): void {
  config["gpubox:models"]![name] = model;
}

/** Throws with the command's last words when it failed. */
export function mustSucceed(result: RunResult): void {
  if (result.code === 0) return;
  const words = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-25).join("\n");
  throw new Error(`a command failed with exit code ${result.code}:\n${words}`);
}
