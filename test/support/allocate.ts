import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { removeFolder, removeLeftovers } from "./leftovers";

/** Below the ports that the kernel hands out by itself. */
const FIRST_PORT = 20_000;
const PORTS = 40;
/** One a subnet 10.231.x.0/24. */
const SLOTS = 250;
/** Where second hosts lie; {@link scratch}. */
export const SECOND_HOSTS = "/var/tmp/gpubox-second-host";
/** Where {@link scratch} may make folders. All but the first are for what cannot lie in a tmpfs. */
const SCRATCH = [tmpdir(), "/var/tmp", SECOND_HOSTS];

/** What one suite has of this machine, and no other suite of this run or of another one. */
export interface Allocation {
  /** Third number of the suite's subnet 10.231.x.0/24. */
  net: number;
  /** Name of its stack; the names of its resources begin with `gpubox-<stack>`. */
  stack: string;
  /** Forty ports in a row that nothing listened on. */
  port: number;
  /** Directory of its box on this host. */
  dataDir: string;
}

const record = z.object({ pid: z.number(), started: z.string(), stack: z.string() });

/** Reservations of one machine: a file each, which names the process that holds it. */
export class Slots {
  private readonly held = new Map<string, Allocation>();
  private swept = false;

  constructor(
    private readonly dir: string,
    private readonly clean: (stack: string, net: number) => void = removeLeftovers,
    private readonly count = SLOTS,
    private readonly firstPort = FIRST_PORT,
  ) {}

  /**
   * Reserves the next free slot until {@link release}, or until this process ends.
   * @param base what people read in names: `drift` gives a stack `drift-x7f3`
   */
  allocate(base: string): Allocation {
    if (!this.swept) this.sweep();
    const busy = listeningPorts();
    // Not from the first on: runs that begin at once would try the same ones.
    const first = randomBytes(1).readUInt8() % this.count;
    for (let step = 0; step < this.count; step++) {
      const net = (first + step) % this.count;
      const port = this.firstPort + net * PORTS;
      if (busy.some((one) => one >= port && one < port + PORTS)) continue;
      const stack = `${base}-${randomBytes(2).toString("hex")}`;
      if (!this.reserve(net, stack)) continue;
      const allocation = { net, stack, port, dataDir: `/srv/gpubox-${stack}` };
      this.held.set(stack, allocation);
      return allocation;
    }
    throw new Error(`all ${this.count} slots of ${this.dir} are held`);
  }

  /** Removes what the stack left on this machine, and lets others have its slot. */
  release(stack: string): void {
    const allocation = this.held.get(stack);
    if (!allocation) return;
    this.clean(stack, allocation.net);
    rmSync(this.path(allocation.net), { force: true });
    this.held.delete(stack);
  }

  releaseAll(): void {
    for (const stack of [...this.held.keys()]) this.release(stack);
  }

  /** Removes what processes left that ended without a release. */
  sweep(): void {
    this.swept = true;
    if (!existsSync(this.dir)) return;
    for (const file of readdirSync(this.dir)) {
      const [, net] = file.match(/^(\d+)\.json$/) ?? [];
      if (net !== undefined) this.takeOver(Number(net));
    }
  }

  private path(net: number): string {
    return join(this.dir, `${net}.json`);
  }

  /** A file with the holder in it, ready to become the reservation. */
  private written(stack: string): string {
    mkdirSync(this.dir, { recursive: true });
    const file = join(this.dir, `.${process.pid}-${randomBytes(4).toString("hex")}`);
    writeFileSync(file, JSON.stringify({ pid: process.pid, started: startOf(process.pid) ?? "", stack }));
    return file;
  }

  private reserve(net: number, stack: string): boolean {
    const file = this.written(stack);
    try {
      // Unlike a file that is created and then written, a link is never seen half done.
      linkSync(file, this.path(net));
      return true;
    } catch {
      return false;
    } finally {
      rmSync(file);
    }
  }

  private takeOver(net: number): void {
    const path = this.path(net);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch {
      return;
    }
    const { pid, started, stack } = record.parse(JSON.parse(text));
    if (startOf(pid) === started) return;
    const file = this.written(stack);
    // Two that sweep at once: only one of them finds the text that it judged. The kernel frees this lock whatever happens.
    const swap = '[ "$(cat "$1")" = "$2" ] && mv -f "$3" "$1"';
    const lock = join(this.dir, ".lock");
    const taken = spawnSync("flock", [lock, "sh", "-c", swap, "_", path, text, file]);
    rmSync(file, { force: true });
    if (taken.status !== 0) return;
    // Until this is done the slot is this process' own: what was left may still hold its ports.
    this.clean(stack, net);
    rmSync(path);
  }
}

/** When a process began, in the kernel's words; undefined where there is none. Numbers of processes come again, this does not. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second word is the program's name, and may have spaces.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    if (existsSync("/proc/self/stat")) return undefined;
  }
  try {
    process.kill(pid, 0);
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "" : undefined;
  }
}

/** Ports of this machine on which somebody listens, on any address. */
function listeningPorts(): number[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => {
    if (!existsSync(table)) return [];
    const sockets = readFileSync(table, "utf8").matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm);
    return [...sockets].map(([, port]) => Number.parseInt(port!, 16));
  });
}

const machine = new Slots(join(tmpdir(), "gpubox-tests"));

/** Reserves names, ports, a subnet and a data directory for a suite; {@link Slots.allocate}. */
export function allocate(base: string): Allocation {
  return machine.allocate(base);
}

/** Removes what this file's stacks left, and frees their slots. */
export function releaseAll(): void {
  machine.releaseAll();
}

/** Removes what test runs left that were killed: containers, networks, volumes, folders, namespaces. */
export function sweepDead(): void {
  machine.sweep();
  for (const root of SCRATCH.filter((one) => existsSync(one)))
    for (const name of readdirSync(root)) {
      const [, pid] = name.match(/^gpubox-t(\d+)-/) ?? [];
      if (pid && startOf(Number(pid)) === undefined) removeFolder(join(root, name));
    }
}

/**
 * Makes a folder of this process, which the next run removes where this one was killed.
 * @param root `/var/tmp` for what cannot lie in a tmpfs
 */
export function scratch(name: string, root = tmpdir()): string {
  return mkdtempSync(join(root, `gpubox-t${process.pid}-${name}-`));
}
