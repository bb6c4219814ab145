import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import type { BoxPlan } from "../../../configs/kit/types";
import { collect } from "../../../operations/doctor/collect";
import { diagnose } from "../../../operations/doctor/diagnose";
import { output, run } from "../../../platform/process";
import { planStack, readStack } from "../../../platform/stack/planStack";
import { readResolved } from "../../../platform/stack/resolved";
import { findSecretStore, readSecrets, type Secrets } from "../../../platform/stack/secrets";
import { scratch } from "../../support/allocate";
import { programOf, type TestProject } from "../../support/project";
import { pause, until as untilState } from "../../support/wait";

const NODE = ["@anthropic-ai/claude-code@2.1.330", "opencode-ai@1.18.33"];
const PYTHON = ["openai==3.54.0", "anthropic==2.12.0"];
/** Installed once a machine, in a folder that is called after what is in it. */
const INSTALLED = join("/var/tmp/gpubox-clients", [...PYTHON, ...NODE].join("+").replace(/[^\w.+-]/g, "_"));
/** A second run that wants the clients meanwhile waits for them; an installation that was cut short begins anew. */
const INSTALL = `set -e
[ -e "$1/ready" ] && exit
rm -rf "$1"
python3 -m venv "$1/venv"
"$1/venv/bin/pip" install -q ${PYTHON.join(" ")}
npm install --no-audit --no-fund --prefix "$1" ${NODE.join(" ")}
touch "$1/ready"`;

/** The real clients, with a home of their own. */
export class Clients {
  private readonly home = scratch("clients");

  async install(): Promise<void> {
    mkdirSync(dirname(INSTALLED), { recursive: true });
    await output("flock", [`${INSTALLED}.lock`, "sh", "-c", INSTALL, "_", INSTALLED]);
  }

  /** Runs a script as `bash` would for a person who pasted it, with nothing of this process' environment. */
  paste(script: string) {
    const bins = ["venv/bin", "node_modules/.bin"].map((bin) => join(INSTALLED, bin));
    const path = [...bins, process.env.PATH].join(":");
    const clean = ["-i", `HOME=${this.home}`, `PATH=${path}`, "bash", "-c", script];
    return run("env", clean, { cwd: this.home, timeoutMs: 120_000 });
  }

  close(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A box, and what its doctor says. */
export class Ward {
  constructor(
    readonly project: TestProject,
    readonly secrets: Secrets,
  ) {}

  static async open(project: TestProject): Promise<Ward> {
    Object.assign(process.env, project.env);
    for (const name of Object.keys(project.env)) delete process.env[name];
    return new Ward(project, await readSecrets(await findSecretStore(project.dir, project.stack)));
  }

  plan(): BoxPlan {
    const { dir, stack } = this.project;
    return planStack(dir, stack, this.secrets, readResolved(dir, stack));
  }

  /** Every finding as `row: what`, of the time since `since`; but for the firewall, as nobody prepared this host. */
  async findings(
    since: string,
    client: { clientKey?: string; clientModel?: string } = {},
  ): Promise<string[]> {
    const found = await this.look(since, client);
    // On a busy machine a part is late once; one that hangs is late again.
    return found.some((one) => one.includes("does not answer within")) ? this.look(since, client) : found;
  }

  private async look(since: string, client: object): Promise<string[]> {
    const { dir, stack } = this.project;
    const config = readStack(dir, stack, this.secrets);
    const box = this.plan();
    const facts = await collect({ projectDir: dir, box, config, secrets: this.secrets, since, ...client });
    return diagnose(box, facts)
      .filter(({ row }) => row !== "firewall")
      .flatMap(({ row, findings }) => findings.map(({ what }) => `${row}: ${what}`));
  }

  /** Status of a request with exactly these header fields: fetch would set Host itself. */
  ask(path: string, { body, headers = {} }: { body?: object; headers?: Record<string, string> } = {}) {
    const all = {
      authorization: `Bearer ${this.secrets.masterKey}`,
      "content-type": "application/json",
      ...headers,
    };
    return new Promise<number>((resolve, reject) => {
      const url = `${this.project.endpoint}${path}`;
      const sent = request(
        { ...urlParts(url), path, method: body ? "POST" : "GET", headers: all },
        (answer) => {
          answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
        },
      );
      sent.on("error", reject).end(body && JSON.stringify(body));
    });
  }

  chat(model: string, content: string): Promise<number> {
    return this.ask("/v1/chat/completions", { body: { model, messages: [{ role: "user", content }] } });
  }

  docker(...args: string[]): Promise<string> {
    return output("docker", args);
  }

  name(role: string): string {
    return `gpubox-${this.project.stack}-${role}`;
  }
}

function urlParts(url: string) {
  const { hostname, port } = new URL(url);
  return { hostname, port };
}

/** A client that begins a request and never finishes it. */
export function beginRequest(endpoint: string): { close: () => void } {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname, () =>
    socket.write("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"),
  );
  socket.on("error", () => {});
  return { close: () => socket.destroy() };
}

/** Lines of a verb that goes on by itself, until one of them holds. */
export async function linesUntil(
  project: TestProject,
  words: string[],
  holds: (line: string) => boolean,
  meanwhile: () => Promise<unknown>,
): Promise<string> {
  const child = spawn(process.execPath, programOf(project, [...words, "--stack", project.stack]), {
    cwd: project.dir,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    for (let attempt = 0; attempt < 60; attempt++) {
      await meanwhile();
      await pause(500, "the child writes its line meanwhile");
      const found = text.split("\n").find((line) => line && holds(line));
      if (found) return found;
    }
    throw new Error(`no such line came: ${text}`);
  } finally {
    process.kill(-child.pid!, "SIGTERM");
  }
}

/** Asks until the answer is true. */
export async function until(what: string, holds: () => Promise<boolean>, seconds = 60): Promise<void> {
  await untilState(what, holds, { seconds, everyMs: 300 });
}
