import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SLEEP_ASSETS, sleepCommands, sleepEnv } from "../../../configs/engines/vllmSleep";
import { takingTurns } from "../../../configs/plan/deviceLock";
import {
  GROUP_ASSETS,
  type GroupMember,
  groupConfig,
  groupMembers,
} from "../../../configs/plan/haproxy/group";
import { VALVE_COMMAND } from "../../../configs/plan/haproxy/valve";
import { type SeatedEngine, seated } from "../../../configs/plan/seat";
import { output, run } from "../../../platform/process";
import { packageDir } from "../../../platform/project";
import { recipeReference } from "../../../platform/stack/recipes";
import { allocate, scratch } from "../../support/allocate";
import { until } from "../../support/wait";

const HAPROXY = 99;
const NOBODY = 65_534;
const GRACE_SECONDS = 3;

/** What a test says of a model: MiB, and what differs from the rest. */
export interface LabModel extends Partial<Omit<GroupMember, "needs" | "asleep">> {
  mib: number;
  /** MiB that it keeps asleep, and the level at which it sleeps. Default: it is ended. */
  asleep?: number;
  level?: 1 | 2;
  /** A device on which its engine takes turns. */
  device?: string;
  /** Seconds that its stub loads. Default: 1. */
  loads?: number;
}

/** A scheduler and its seats, in containers from the recipes' images; the engines are stubs. */
export class GroupLab {
  private readonly own = allocate("seats");
  private readonly prefix = `gpubox-${this.own.stack}`;
  private readonly dir = scratch("seats");
  private readonly edge = recipeReference(packageDir, "edge");
  private readonly engine = recipeReference(packageDir, "llamacpp");
  private models: Record<string, LabModel> = {};
  private address = "";

  async open(budget: number, models: Record<string, LabModel>): Promise<void> {
    chmodSync(this.dir, 0o755);
    mkdirSync(join(this.dir, "locks"));
    for (const { device } of Object.values(models))
      if (device) writeFileSync(this.lockOf(device), "", { mode: 0o644 });
    await output("docker", ["network", "create", this.prefix]);
    for (const [name, asset] of Object.entries(GROUP_ASSETS)) {
      mkdirSync(join(this.dir, "scheduler"), { recursive: true });
      copyFileSync(join(packageDir, "assets", asset), join(this.dir, "scheduler", name));
    }
    this.write(budget, models);
    for (const name of Object.keys(models)) await this.seat(name);
    await this.run("scheduler", this.edge, `${HAPROXY}:${HAPROXY}`, VALVE_COMMAND, [
      ...["--volume", `${join(this.dir, "scheduler")}:/etc/gpubox:ro`],
      ...["--volume", `${join(this.dir, "seats")}:/run/gpubox/seats`],
    ]);
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    this.address = (await output("docker", ["inspect", "--format", format, this.name("scheduler")])).trim();
    await until("the scheduler answers", async () => (await this.get("/gpubox/health"))?.status === 200);
  }

  async close(): Promise<void> {
    const all = ["scheduler", ...Object.keys(this.models)].map((name) => this.name(name));
    await run("docker", ["rm", "--force", ...all]);
    await run("docker", ["network", "rm", this.prefix]);
    rmSync(this.dir, { recursive: true });
  }

  name(short: string): string {
    return `${this.prefix}-${short}`;
  }

  /** The scheduler's files, as a change of the stack's config writes them; `reload` makes it read them. */
  write(budget: number, models: Record<string, LabModel>): void {
    this.models = { ...this.models, ...models };
    const members = Object.entries(models).map(
      ([name, { mib, asleep, level: _, device: __, loads: ___, ...more }]): GroupMember => ({
        ...{ name, slug: name, port: this.portOf(name), server: { name: this.name(name), port: 8080 } },
        ...{ needs: [{ device: "host", mib }], priority: 0, pinned: false, idleSeconds: 0, waitSeconds: 60 },
        ...{ readySeconds: 30, startHint: `gpubox model start ${name}` },
        ...(asleep !== undefined && { asleep: [{ device: "host", mib: asleep }] }),
        ...more,
      }),
    );
    const files = {
      "haproxy.cfg": groupConfig(members),
      "members.lua": groupMembers([{ device: "host", mib: budget }], members),
    };
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.dir, "scheduler", file), text);
  }

  async reload(): Promise<void> {
    await output("docker", ["exec", this.name("scheduler"), "bash", "/etc/gpubox/reload.sh"]);
  }

  /** The file whose lock a device's engines take in turn. */
  lockOf(device: string): string {
    return join(this.dir, "locks", `device-${device}`);
  }

  /** What its container has said. */
  async log(name: string): Promise<string> {
    const { stdout, stderr } = await run("docker", ["logs", this.name(name)]);
    return `${stdout}${stderr}`;
  }

  /** A model's container, with nothing loaded. */
  async seat(name: string): Promise<void> {
    const [seat, config] = [join(this.dir, "seats", name), join(this.dir, name)];
    const orders = join(this.dir, "seats", ".orders", name);
    for (const path of [seat, orders, config]) mkdirSync(path, { recursive: true });
    chownSync(join(this.dir, "seats"), HAPROXY, HAPROXY);
    chownSync(seat, NOBODY, HAPROXY);
    chownSync(orders, HAPROXY, NOBODY);
    for (const path of [seat, orders]) chmodSync(path, 0o2750);
    copyFileSync(join(__dirname, "engine.py"), join(config, "engine.py"));
    const { loads = 1, level, device } = this.models[name]!;
    const plan = seated(
      takingTurns<SeatedEngine>(this.dir, {
        entrypoint: ["python3", "/etc/gpubox/engine.py", name, "8080", String(loads)],
        ...{ mounts: [], port: 8080, readySeconds: 30, stopGraceSeconds: GRACE_SECONDS },
        healthTest: ["CMD", "curl", "-fsS", "http://127.0.0.1:8080/"],
        env: level ? sleepEnv({ env: {} }) : {},
        ...(level && { sleep: sleepCommands(level), assets: SLEEP_ASSETS }),
        ...(device && { gpu: { vendor: "amd", ids: [device] } }),
      }),
      ["CMD", "curl", "-fsS", "http://127.0.0.1:8080/"],
      { seat, orders },
      30,
    );
    for (const [file, asset] of Object.entries(plan.assets ?? {}))
      copyFileSync(join(packageDir, "assets", asset), join(config, file));
    const mounts = plan.mounts.map(
      ({ source, target, readOnly }) => `${source}:${target}${readOnly ? ":ro" : ""}`,
    );
    await this.run(name, this.engine, `${NOBODY}:${NOBODY}`, plan.entrypoint, [
      ...["--init", "--stop-timeout", String(plan.stopGraceSeconds)],
      ...[`${config}:/etc/gpubox:ro`, ...mounts].flatMap((mount) => ["--volume", mount]),
      ...Object.entries(plan.env).flatMap((pair) => ["--env", pair.join("=")]),
    ]);
    await until(`${name} takes commands`, () => this.state(name) === "stopped");
  }

  /** Lets its next loads fail, its next engines end by nothing but KILL, or those that sleep not wake; or not. */
  sets(name: string, what: "fail" | "slow" | "restless", yes: boolean): void {
    const path = join(this.dir, name, what);
    if (yes) writeFileSync(path, "");
    else rmSync(path, { force: true });
  }

  /** What its seat says of itself. */
  state(name: string): string | undefined {
    try {
      return readFileSync(join(this.dir, "seats", name, "state"), "utf8").split(/\s/)[0];
    } catch {
      return undefined;
    }
  }

  states(): Record<string, string | undefined> {
    return Object.fromEntries(Object.keys(this.models).map((name) => [name, this.state(name)]));
  }

  /** One request to a model: its name five times, or what it got in place of that. `pause`: seconds between its pieces. */
  async ask(name: string, pause = 0.02): Promise<string> {
    const answer = await fetch(`http://${this.address}:${this.portOf(name)}/v1/x`, {
      method: "POST",
      headers: { "x-pause": String(pause) },
      body: "{}",
    });
    const text = await answer.text();
    if (answer.status !== 200) return `${answer.status} ${answer.headers.get("retry-after")} ${text}`;
    return text === `${name} `.repeat(5) ? name : text;
  }

  private async get(path: string): Promise<Response | undefined> {
    const [name] = Object.keys(this.models);
    return fetch(`http://${this.address}:${this.portOf(name!)}${path}`).catch(() => undefined);
  }

  private portOf(name: string): number {
    return 9000 + name.charCodeAt(0);
  }

  private async run(
    short: string,
    image: string,
    user: string,
    command: string[],
    more: string[],
  ): Promise<void> {
    const [program, ...args] = command;
    await output("docker", [
      ...[
        "run",
        "--detach",
        "--name",
        this.name(short),
        "--network",
        this.prefix,
        "--user",
        user,
        "--read-only",
      ],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp", ...more],
      ...["--entrypoint", program!, image, ...args],
    ]);
  }
}
