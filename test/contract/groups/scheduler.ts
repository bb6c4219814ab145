import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import {
  GROUP_ASSETS,
  type GroupMember,
  groupConfig,
  groupMembers,
  SEATS_DIR,
} from "../../../configs/plan/haproxy/group";
import { packageDir } from "../../../platform/project";
import { allocate, scratch } from "../../support/allocate";
import { until } from "../../support/wait";

/** What a test says of a model: MiB, those that it keeps asleep where it has a sleep, and what differs from the rest. */
export interface FakeModel extends Partial<Omit<GroupMember, "needs" | "asleep">> {
  mib: number;
  asleep?: number;
}

/**
 * How a seat follows orders. `slow` begins to stop, to fall asleep or to wake, and the test says the rest; `fails` loads nothing, `stuck`
 * hears nothing.
 */
type Way = "follows" | "slow" | "fails" | "stuck";

/** Waits of the scheduler, in seconds, that are shorter here: name to what it is and what it becomes. */
const WAITS: Record<string, [number, number]> = {
  AGAIN_SECONDS: [5, 1],
  AWAY_SECONDS: [20, 2],
  LOST_SECONDS: [5, 1],
  SPARED_SECONDS: [2, 0.3],
  PINNED_SECONDS: [60, 1],
};

/** A group's scheduler in this machine's HAProxy. Its seats are this process, and so is the server of all its models. */
export class SchedulerLab {
  readonly dir = scratch("scheduler");
  private readonly own = allocate("scheduler");
  private readonly ways = new Map<string, Way>();
  private readonly marks = new Map<string, string>();
  private readonly processes: ChildProcess[] = [];
  private readonly held: (() => void)[] = [];
  private server?: Server;
  private ears?: ReturnType<typeof setInterval>;
  private count = 0;
  /** What the scheduler said. */
  log = "";

  get seats(): string {
    return join(this.dir, "seats");
  }

  async open(budget: number, models: Record<string, FakeModel>, more = ""): Promise<void> {
    this.server = createServer((request, response) => {
      const answer = () => response.end(request.url!.split("/")[1]);
      if (request.url!.endsWith("/hold")) this.held.push(answer);
      else answer();
    }).listen(this.own.port, "127.0.0.1");
    const left = new Set(Object.keys(WAITS));
    for (const [name, asset] of Object.entries(GROUP_ASSETS)) {
      const text = readFileSync(join(packageDir, "assets", asset), "utf8");
      writeFileSync(join(this.dir, name), hurried(text, left));
    }
    if (left.size > 0) throw new Error(`no script waits for ${[...left].join(", ")}`);
    this.ears = setInterval(() => this.listen(), 20);
    await this.start(budget, models, more);
  }

  async close(): Promise<void> {
    clearInterval(this.ears);
    this.release();
    for (const process of this.processes) process.kill("SIGKILL");
    this.server?.closeAllConnections();
    this.server?.close();
    rmSync(this.dir, { recursive: true });
  }

  /** Another process with these models, as a reload makes it. @param more Lua after the members */
  async start(budget: number, models: Record<string, FakeModel>, more = ""): Promise<void> {
    const members = Object.entries(models).map(
      ([name, { mib, asleep, ...own }]): GroupMember => ({
        ...{ name, slug: name, port: this.portOf(name), server: { name: "127.0.0.1", port: this.own.port } },
        ...{ needs: [{ device: "host", mib }], priority: 0, pinned: false, idleSeconds: 0, waitSeconds: 30 },
        ...(asleep !== undefined && { asleep: [{ device: "host", mib: asleep }] }),
        ...{ readySeconds: 30, startHint: `gpubox model start ${name}` },
        ...own,
      }),
    );
    for (const name of Object.keys(models)) this.seat(name);
    const here = (text: string) => text.replaceAll("/etc/gpubox", this.dir).replaceAll(SEATS_DIR, this.seats);
    // The next process takes the listeners over, as from a master: a connection that waits at one is not lost.
    const socket = join(this.dir, "admin.sock");
    const config = here(groupConfig(members))
      .replace(/bind 127\.0\.0\.1:\d+/, `bind 127.0.0.1:${this.own.port + 1}`)
      .replace(/^global$/m, `global\n  stats socket ${socket} mode 600 level admin expose-fd listeners`);
    writeFileSync(join(this.dir, "haproxy.cfg"), config);
    const budgets = groupMembers([{ device: "host", mib: budget }], members);
    writeFileSync(join(this.dir, "members.lua"), `${here(budgets)}\n${more}\n`);
    const before = this.processes.at(-1)?.pid;
    const begun = this.written();
    const child = spawn(
      "haproxy",
      ["-db", "-f", join(this.dir, "haproxy.cfg"), ...(before ? ["-x", socket, "-sf", String(before)] : [])],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        this.log += data.toString();
      });
    this.processes.push(child);
    await until("the scheduler decides", () => this.written() > begun, { everyMs: 20 });
  }

  /** A seat with nothing loaded; one that is there already stays as it is. */
  private seat(name: string): void {
    if (this.ways.has(name)) return;
    for (const path of [name, `.orders/${name}`]) mkdirSync(join(this.seats, path), { recursive: true });
    this.ways.set(name, "follows");
    this.say(name, "stopped -");
  }

  /** How a seat follows orders from now on. */
  way(name: string, way: Way): void {
    this.ways.set(name, way);
  }

  /** Writes a seat's state. */
  say(name: string, state: string): void {
    this.count += 1;
    const path = join(this.seats, name, "state");
    writeFileSync(`${path}.new`, `${state} ${this.count}\n`);
    renameSync(`${path}.new`, path);
  }

  state(name: string): string {
    return this.read(`${name}/state`).split(" ")[0]!;
  }

  is(name: string, state: string): Promise<boolean> {
    return until(`${name} is ${state}`, () => this.state(name) === state, { everyMs: 20 });
  }

  /** The scheduler has written that they were used in this order. */
  remembered(...names: string[]): Promise<boolean> {
    return until("that is written", () => {
      const record = readFileSync(join(this.seats, "members"), "utf8");
      const last = names.map((name) => Number(record.match(new RegExp(`^${name} (\\S+)`, "m"))![1]));
      return last.every((at, index) => index === 0 || at > last[index - 1]!);
    });
  }

  /** The last order to a seat, without its mark. */
  order(name: string): string {
    return this.read(`.orders/${name}/order`).split(" ")[0]!;
  }

  /** One request to a model: its name, or the status and the reason. `hold`: it is answered at {@link release}. */
  async ask(name: string, hold = false): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.portOf(name)}/${name}${hold ? "/hold" : ""}`);
    const text = await answer.text();
    return answer.status === 200 ? text : `${answer.status} ${text}`;
  }

  /** True while the server of the models holds a request. */
  get holds(): boolean {
    return this.held.length > 0;
  }

  /** Answers what is held. */
  release(): void {
    for (const answer of this.held.splice(0)) answer();
  }

  private listen(): void {
    for (const [name, way] of this.ways) {
      const [order, mark] = this.read(`.orders/${name}/order`).trim().split(" ");
      if (!mark || way === "stuck" || this.marks.get(name) === mark) continue;
      this.marks.set(name, mark);
      const state = this.read(`${name}/state`).split(" ").slice(0, 2).join(" ");
      if (order === "say") this.say(name, state);
      else if (order === "start" && way === "fails") this.say(name, "failed 1");
      else if (order === "start" && way === "slow" && state.startsWith("asleep")) this.say(name, "waking 1");
      else if (order === "start") this.say(name, "ready 1");
      else if (order === "sleep") this.say(name, way === "slow" ? "dozing -" : "asleep 1");
      else if (way === "slow") this.say(name, "stopping -");
      else this.say(name, "stopped -");
    }
  }

  private read(path: string): string {
    try {
      return readFileSync(join(this.seats, path), "utf8");
    } catch {
      return "";
    }
  }

  /** When a process of the scheduler last wrote who its members are; each does as it begins. */
  private written(): number {
    return statSync(join(this.seats, "members"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  private portOf(name: string): number {
    return this.own.port + 2 + (name.charCodeAt(0) - "a".charCodeAt(0));
  }
}

/** @param left names of waits that were not found yet */
function hurried(lua: string, left: Set<string>): string {
  return Object.entries(WAITS).reduce((text, [name, [is, becomes]]) => {
    const place = new RegExp(`(local ${name}(?:, \\w+)? = )${is}\\b`);
    if (place.test(text)) left.delete(name);
    return text.replace(place, `$1${becomes}`);
  }, lua);
}
