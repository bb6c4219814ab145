import { z } from "zod";
import { type GatewayStatus, gatewaysIn } from "../../platform/box/edge";
import { parseJson } from "../../platform/json";
import { valveFacts } from "../doctor/collectServices";
import type { ContainerFacts, ValveFacts } from "../doctor/facts";
import { endedOf, killsOf, parseKernelLog } from "../doctor/memoryKills";
import { parseGpuProcesses } from "../drift/collectGpus";
import type { GpuProcess } from "../drift/facts";
import { saidBy } from "../host/said";
import { amdGpus, type GpuFigures, nvidiaGpus } from "./gpuFigures";

/** A container of the box, with what it takes of the host's memory. */
export interface HostContainer extends ContainerFacts {
  id: string;
  /** Seconds since 1970. */
  createdAt: number;
  /** Bytes in memory, without files that nobody looked at lately; undefined where the host does not say. */
  memoryBytes?: number;
  /** Bytes; 0: no limit. */
  limitBytes: number;
}

/** A file system with folders of the box. */
export interface DiskFacts {
  folders: string[];
  totalBytes: number;
  freeBytes: number;
}

/** What the host said at one look (assets/host/status.sh), as plain data. Times are seconds since 1970. */
export interface StatusFacts {
  now: number;
  bootAt: number;
  name: string;
  system: string;
  cores: number;
  /** Of the last 1, 5 and 15 minutes. */
  load: number[];
  memory: { totalBytes: number; availableBytes: number; swapBytes: number; swapFreeBytes: number };
  disks: DiskFacts[];
  gpus: GpuFigures[];
  /** Why NVIDIA's driver said nothing. */
  gpusFailed?: string;
  gpuProcesses: GpuProcess[];
  docker: { version: string } | { failed: string };
  containers: HostContainer[];
  /** By the valve's role. */
  valves: Record<string, ValveFacts>;
  /** Undefined where the edge did not answer. */
  edge?: { generation?: string; gateways: GatewayStatus[] };
}

const word = z.string().transform((text) => text || undefined);

const container = z.object({
  id: z.string(),
  name: z.string().transform((name) => name.replace(/^\//, "")),
  role: z.string(),
  generation: word,
  created: z.string(),
  state: z.enum(["created", "running", "paused", "restarting", "removing", "exited", "dead"]),
  health: z.enum(["healthy", "unhealthy", "starting"]).nullable().catch(null),
  says: z.array(z.string()).default([]),
  exitCode: z.number(),
  oomKilled: z.boolean(),
  startedAt: z.string(),
  finishedAt: z.string(),
  restarts: z.number(),
  error: z.string(),
  limitBytes: z.number(),
});

const serving = z.object({ generation: z.string() });

/** Parses what the script printed; undefined where that is not the whole. */
export function parseStatus(text: string): StatusFacts | undefined {
  const said = saidBy(text);
  const all = (key: string) => said.flatMap(([one, value]) => (one === key ? [value.trim()] : []));
  const one = (key: string) => all(key)[0] ?? "";
  if (!one("end")) return undefined;
  const now = Number(one("now"));
  const gpus = [...nvidiaGpus(one("nvidia")), ...amdGpus(one("amd"))];
  const edge = one("edge");
  return {
    now,
    bootAt: Number(one("boot")),
    name: one("name"),
    system: one("system"),
    cores: Number(one("cores")),
    load: one("load").split(" ").map(Number),
    memory: memoryOf(one("memory")),
    disks: disksOf(all("disk")),
    gpus,
    gpusFailed: one("nvidiaFailed") || undefined,
    gpuProcesses: processesOf(one("apps"), gpus),
    docker: dockerOf(one("docker"), one("dockerFailed")),
    containers: containersOf(one("containers"), one("usage"), one("kernel"), now),
    valves: Object.fromEntries(all("valve").flatMap(valveOf)),
    edge: edge ? { generation: generationOf(edge.split("\n")[0]!), gateways: gatewaysIn(edge) } : undefined,
  };
}

function dockerOf(version: string, failed: string): StatusFacts["docker"] {
  return version && !failed ? { version } : { failed: failed || "no answer" };
}

function memoryOf(text: string): StatusFacts["memory"] {
  const bytes = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  return {
    totalBytes: bytes("MemTotal"),
    availableBytes: bytes("MemAvailable"),
    swapBytes: bytes("SwapTotal"),
    swapFreeBytes: bytes("SwapFree"),
  };
}

/** Folders on one device are one entry. */
function disksOf(texts: string[]): DiskFacts[] {
  const found = new Map<string, DiskFacts>();
  for (const text of texts) {
    const [folder = "", line = ""] = text.split("\n");
    const [device = "", blocks, , free, , ...mount] = line.trim().split(/\s+/);
    if (!free) continue;
    const key = device.startsWith("/") ? device : mount.join(" ");
    const disk = found.get(key) ?? {
      folders: [],
      totalBytes: Number(blocks) * 1024,
      freeBytes: Number(free) * 1024,
    };
    disk.folders.push(folder);
    found.set(key, disk);
  }
  return [...found.values()];
}

function processesOf(apps: string, gpus: GpuFigures[]): GpuProcess[] {
  const nvidia = gpus
    .filter(({ vendor }) => vendor === "nvidia")
    .map(({ index, uuid }) => `${index}, ${uuid}`);
  return parseGpuProcesses(
    `${nvidia.join("\n")}\n--\n${apps}`,
    gpus.map(({ uuid }) => uuid ?? ""),
  );
}

function containersOf(text: string, usage: string, kernel: string, now: number): HostContainer[] {
  const kills = parseKernelLog(kernel);
  const used = new Map(
    usage.split("\n").map((line) => [line.split(" ")[0]!, line.split(" ").slice(1).map(Number)]),
  );
  return text.split("\n").flatMap((line): HostContainer[] => {
    const found = container.safeParse(parseJson(line)).data;
    if (!found?.role) return [];
    const { health, says, created, startedAt, finishedAt, ...rest } = found;
    const life = {
      id: rest.id,
      startedAt: Date.parse(startedAt) / 1000,
      endedAt: Date.parse(finishedAt) / 1000,
      restarts: rest.restarts,
      oomKilled: rest.oomKilled,
    };
    const [bytes, cached = 0, killed = 0] = used.get(rest.id) ?? [];
    // The control group counts only since the container's last start, and does not say when.
    const counted = killed > 0 ? ({ count: killed, limit: "own" } as const) : undefined;
    return [
      {
        ...rest,
        health: health ?? undefined,
        healthSays: says.at(-1)?.trim(),
        networks: [],
        createdAt: Date.parse(created) / 1000,
        endedAt: endedOf(life, now),
        memoryKills: killsOf(life, kills, now) ?? counted,
        ...(bytes ? { memoryBytes: Math.max(bytes - cached, 0) } : {}),
      },
    ];
  });
}

function valveOf(text: string): [string, ValveFacts][] {
  const at = text.indexOf("\n");
  const facts = valveFacts(at < 0 ? "" : text.slice(at + 1));
  return facts ? [[text.slice(0, at), facts]] : [];
}

function generationOf(text: string): string | undefined {
  return serving.safeParse(parseJson(text)).data?.generation;
}
