import { createServer } from "node:net";
import { freemem } from "node:os";
import { GIB, gibibytes, MIB } from "../configs/kit/sizes";
import { shellQuote } from "../configs/kit/text";
import { connectionOf } from "../configs/network/engine";
import { dockerAt } from "./docker/client";
import type { DockerEngine } from "./docker/engine";
import { output, run, UserError } from "./process";
import type { Log } from "./project";
import { machineLine } from "./project";
import type { PulumiEngine } from "./pulumi/engine";
import { sshArguments } from "./ssh/connection";

/** A port that the plan publishes on the host. */
export interface WantedPort {
  bind: string;
  port: number;
  /** The key that sets it, for example `gpubox:gateway.port`. */
  key: string;
}

export interface MachineOptions {
  stack: string;
  /** Address of the engine, as in the stack's config. */
  docker: string;
  engine: DockerEngine;
  /** `compose` when the user asked to converge without Pulumi; undefined when no engine is available. */
  pulumi: PulumiEngine | "compose" | undefined;
  dataDir: string;
  ports: WantedPort[];
  /** Sum of the containers' memory limits in MiB; unset skips the comparison. */
  memoryMiB?: number;
  log: Log;
}

/** `up` warns below this much free disk, in GiB: images and a small model need about as much. */
export const warnDiskGiB = 15;
/** `up` refuses below this much free disk, in GiB, because the first pull would fill it. */
export const refuseDiskGiB = 3;
/** `up` refuses a file system that can hold fewer further files than this: an image has tens of thousands. */
export const refuseFiles = 20_000;

/**
 * Describes the machine, one line for each part, and checks whether it can run a box. Changes nothing.
 *
 * @throws UserError for a disk with less than `refuseDiskGiB` free, and for a port that another program uses
 */
export async function checkMachine(options: MachineOptions): Promise<void> {
  const { docker, engine, log, pulumi } = options;
  log(machineLine("node", `${process.versions.node} — found`));
  log(machineLine("docker", `${engine.version}, ${engine.storage} — found`));
  log(machineLine("pulumi", pulumiLine(pulumi)));
  log(machineLine("memory", memoryLine(engine.memoryBytes, await freeMemory(docker), options.memoryMiB)));
  for (const disk of await disks(docker, [engine.dataRoot, options.dataDir]))
    log(machineLine("disk", diskLine(disk)));
  for (const port of options.ports) log(machineLine(`port ${port.port}`, await portLine(port, options)));
}

function pulumiLine(pulumi: MachineOptions["pulumi"]): string {
  if (pulumi === "compose") return "not used — converging through Compose";
  if (pulumi) return `${pulumi.version} — found${pulumi.program === "pulumi" ? "" : " in .gpubox/pulumi"}`;
  return "not found — converging through Compose";
}

/**
 * @param neededMiB sum of the containers' limits. More than the machine has is only a warning, since limits are rarely
 * reached
 */
export function memoryLine(total: number, free: number | undefined, neededMiB: number | undefined): string {
  const found = `${gibibytes(total)}${free === undefined ? "" : `, ${gibibytes(free)} available`}`;
  if (neededMiB === undefined || neededMiB * MIB <= total) return `${found} — enough`;
  return `${found} — WARNING: the containers' limits add up to ${gibibytes(neededMiB * MIB)}`;
}

/** Bytes of memory that programs can still get; undefined for a remote host. */
export async function freeMemory(docker: string): Promise<number | undefined> {
  const here = connectionOf(docker) ? undefined : freemem();
  try {
    // Node's own figure leaves out memory that the page cache would release.
    const available = /^MemAvailable:\s+(\d+) kB/m.exec(await runOnHost(docker, "cat /proc/meminfo"))?.[1];
    return available ? Number(available) * 1024 : here;
  } catch {
    return here;
  }
}

export interface Disk {
  freeBytes: number;
  /** How many files it can still hold; undefined where there is no limit. */
  freeFiles?: number;
  /** The box's folders on it. */
  folders: string[];
}

/**
 * The line for a file system.
 *
 * @throws UserError when less than `refuseDiskGiB` are free on it
 */
export function diskLine({ folders, freeBytes, freeFiles }: Disk): string {
  const found = `${gibibytes(freeBytes)} free for ${folders.join(" and ")}`;
  if (freeBytes < refuseDiskGiB * GIB)
    throw new UserError(
      `The disk has only ${gibibytes(freeBytes)} free for ${folders.join(" and ")}.`,
      `Free at least ${refuseDiskGiB} GiB, better ${warnDiskGiB}; \`docker system df\` shows what Docker holds.`,
    );
  if (freeFiles !== undefined && freeFiles < refuseFiles)
    throw new UserError(
      `The disk can hold only ${freeFiles} more files for ${folders.join(" and ")}: it has no inodes left.`,
      "Run `gpubox gc --yes`, and look for folders with very many small files there.",
    );
  if (freeBytes < warnDiskGiB * GIB)
    return `${found} — WARNING: less than ${warnDiskGiB} GiB, large images or models will not fit`;
  return `${found} — enough`;
}

/** Free space below each folder, or below the nearest existing parent. Folders of one file system are one entry. */
export async function disks(docker: string, folders: string[]): Promise<Disk[]> {
  const found = new Map<string, Disk>();
  for (const folder of folders) {
    const script = `d=${shellQuote(folder)}; while [ ! -e "$d" ]; do d=$(dirname "$d"); done; export LC_ALL=C; df -Pk "$d" && { df -Pi "$d" || true; }`;
    const [, space = "", , files = ""] = (await runOnHost(docker, script)).split("\n");
    const fields = space.trim().split(/\s+/);
    // A file system without a limit says that it has none at all.
    const [, all, , free] = files.trim().split(/\s+/);
    // A device may be mounted twice. The mount identifies what has no device, such as a tmpfs.
    const device = fields[0]!.startsWith("/") ? fields[0]! : fields.slice(5).join(" ");
    const limit = Number(all) > 0 ? { freeFiles: Number(free) } : {};
    const disk = found.get(device) ?? { freeBytes: Number(fields[3]) * 1024, ...limit, folders: [] };
    disk.folders.push(folder);
    found.set(device, disk);
  }
  return [...found.values()];
}

/**
 * The output of a script on the engine's machine.
 *
 * @param timeoutMs default: no limit
 */
export function runOnHost(docker: string, script: string, timeoutMs?: number): Promise<string> {
  const connection = connectionOf(docker);
  return connection
    ? output("ssh", [...sshArguments(connection), script], { timeoutMs })
    : output("sh", ["-c", script], { timeoutMs });
}

/** Who uses a port of the host. */
export type PortHolder =
  | "free"
  | "unknown"
  | { container: string; stack: string | undefined }
  | { process: string };

/**
 * Describes a port.
 *
 * @throws UserError when it is neither free nor used by this stack; it names the holder and the key to change
 */
export function portVerdict(port: WantedPort, holder: PortHolder, stack: string): string {
  if (holder === "free") return `on ${port.bind} — free`;
  if (holder === "unknown") return `on ${port.bind} — not checked: the host is another machine`;
  if ("container" in holder && holder.stack === stack) return `on ${port.bind} — held by this box`;
  const who = "container" in holder ? `the container ${holder.container}` : holder.process;
  throw new UserError(
    `Port ${port.port} on ${port.bind} is held by ${who}.`,
    `Stop that, or set another ${port.key} in Pulumi.${stack}.yaml.`,
  );
}

async function portLine(port: WantedPort, { docker, stack }: MachineOptions): Promise<string> {
  return portVerdict(port, await holderOf(port, docker), stack);
}

/** Finds the holder of a host's port: a container, or the process that prevents us from opening it. */
export async function holderOf(port: WantedPort, docker: string): Promise<PortHolder> {
  const publisher = (await publishers(docker)).find((one) => portsClash(one, port));
  if (publisher) return publisher;
  return connectionOf(docker) ? remotePort(port, docker) : tryPort(port);
}

/** Finds the listener on a port of a host behind SSH, where we cannot try to open it. */
async function remotePort({ bind, port, key }: WantedPort, docker: string): Promise<PortHolder> {
  const listening = await runOnHost(docker, "ss -Hltn; echo; ip -brief address").catch(() => undefined);
  if (listening === undefined) return "unknown";
  const [sockets = "", addresses = ""] = listening.split(/\n\s*\n/);
  const known = [...wildcards, ...[...addresses.matchAll(/ ([0-9a-f.:]+)\/\d+/g)].map(([, one]) => one)];
  if (!known.includes(bind)) throw noAddress({ bind, port, key }, "The host");
  const local = sockets.split("\n").map((line) => line.split(/\s+/)[3] ?? "");
  const taken = local.some((text) => {
    const [, address = "", number] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(text) ?? [];
    return portsClash({ bind: address.replace("*", "0.0.0.0"), port: Number(number) }, { bind, port });
  });
  return taken ? { process: "another process" } : "free";
}

const wildcards = ["0.0.0.0", "::", ""];

/** Two listeners clash on one port when they share an address; the wildcard includes every address. */
export function portsClash(
  one: { bind: string; port: number },
  other: { bind: string; port: number },
): boolean {
  if (one.port !== other.port) return false;
  return one.bind === other.bind || wildcards.includes(one.bind) || wildcards.includes(other.bind);
}

async function publishers(docker: string) {
  const containers = await dockerAt(docker).containers();
  return containers.flatMap(({ Name, Config, NetworkSettings }) =>
    Object.values(NetworkSettings.Ports).flatMap((bindings) =>
      (bindings ?? []).map(({ HostIp, HostPort }) => ({
        bind: HostIp,
        port: Number(HostPort),
        container: Name,
        stack: Config.Labels["gpubox.stack"],
      })),
    ),
  );
}

/**
 * Listens on the port for a moment to learn whether it is free. A port that only root may open counts as free, because
 * the engine opens it.
 */
async function tryPort(port: WantedPort): Promise<PortHolder> {
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ host: port.bind, port: port.port }, () => server.close(() => resolve(undefined)));
  });
  if (code === "EADDRNOTAVAIL") throw noAddress(port, "This machine");
  return code === "EADDRINUSE" ? { process: await listener(port.port) } : "free";
}

function noAddress({ bind, port, key }: WantedPort, who: string): UserError {
  return new UserError(
    `${who} has no address ${bind} to open port ${port} on.`,
    `Set ${key.replace(/port$/, "bind")} to one of its addresses (\`ip address\`), or to 127.0.0.1.`,
  );
}

/** The process that listens on a TCP port, as far as this user may see it. */
async function listener(port: number): Promise<string> {
  const { stdout } = await run("ss", ["-Hltnp", `sport = :${port}`]);
  const [, name, pid] = /users:\(\("([^"]+)",pid=(\d+)/.exec(stdout) ?? [];
  return name ? `the process ${name} (pid ${pid})` : "another process";
}
