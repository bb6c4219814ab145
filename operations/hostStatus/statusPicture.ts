import { gibibytes } from "../../configs/kit/sizes";
import { table } from "../../configs/kit/table";
import { visible } from "../../configs/kit/visible";
import type { GpuStatus, HostModel, HostStatus } from "./status";

/** Cells of a bar. */
const BAR = 20;

/** A bar's last cell, by eighths. */
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/**
 * A host at a glance, a text for each line.
 *
 * @param bars with bars of blocks; else figures alone
 */
export function statusPicture(status: HostStatus, bars: boolean): string[] {
  return [
    ...headOf(status),
    "",
    ...gaugesOf(status, bars),
    ...othersOf(status.gpus),
    "",
    ...modelsOf(status),
    ...endOf(status),
  ].map((line) => visible(line).trimEnd());
}

function headOf({ stack, host, at, machine, docker, lastChange }: HostStatus): string[] {
  const where = host === "this machine" ? machine.name : `${machine.name} (${host})`;
  const engine = "version" in docker ? `Docker ${docker.version}` : "Docker does not answer";
  const [now = 0] = machine.load;
  const changed = lastChange
    ? `last change ${moment(lastChange.at)}, ${ago(lastChange.at, at)}: generation ${lastChange.generation}${servesWords(lastChange.serves)}`
    : "never brought up";
  return [
    `${stack} on ${where}: ${machine.system}, ${engine}, ${machine.cores} cores, load ${now.toFixed(1)}   ${moment(at)}`,
    `booted ${moment(machine.bootAt)}, ${ago(machine.bootAt, at)}; ${changed}`,
  ];
}

function servesWords(serves: boolean | null): string {
  if (serves === null) return "";
  return serves ? ", which serves" : ", and another one serves";
}

/** A line for each thing that can be full. */
function gaugesOf({ gpus, gpusFailed, machine, disks }: HostStatus, bars: boolean): string[] {
  const { memory } = machine;
  const used = memory.totalBytes - memory.availableBytes;
  const swapped = memory.swapBytes - memory.swapFreeBytes;
  const rows = [
    ...gpus.map((gpu) => [`GPU ${gpu.index}`, ...gpuCells(gpu, bars)]),
    ["memory", gauge(used, memory.totalBytes, bars), swapped > 0 ? `${gibibytes(swapped)} in swap` : ""],
    ...disks.map(({ folders, totalBytes, freeBytes }) => [
      "disk",
      gauge(totalBytes - freeBytes, totalBytes, bars),
      folders.join(" and "),
    ]),
  ];
  const failed = gpusFailed ? [`NVIDIA's driver does not answer: ${gpusFailed}`] : [];
  return [...columns(rows), ...failed];
}

function gpuCells(gpu: GpuStatus, bars: boolean): string[] {
  if (!gpu.there) return [gpu.there === null ? "its driver gives no figures" : "is not there", ""];
  const { busyPercent, celsius, watts, wattsLimit, memory, name, declared } = gpu;
  const figures = [
    busyPercent === null ? undefined : `${busyPercent} % busy`,
    celsius === null ? undefined : `${Math.round(celsius)} °C`,
    watts === null ? undefined : `${Math.round(watts)}${wattsLimit ? ` of ${Math.round(wattsLimit)}` : ""} W`,
    name,
    declared ? undefined : "not declared",
  ];
  const full = memory ? gauge(memory.usedBytes, memory.totalBytes, bars) : "shares the host's memory";
  return [full, figures.filter(Boolean).join("  ")];
}

/** `████████▌            43 %  10.2 of 24.0 GiB` */
function gauge(used: number, total: number, bars: boolean): string {
  const part = total > 0 ? Math.min(Math.max(used / total, 0), 1) : 0;
  const figures = `${String(Math.floor(part * 100)).padStart(3)} %  ${gibibytes(used).replace(" GiB", "")} of ${gibibytes(total)}`;
  return bars ? `${bar(part)} ${figures}` : figures.trimStart();
}

function bar(part: number): string {
  const eighths = Math.round(part * BAR * 8);
  const full = "█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]!;
  return full.padEnd(BAR, "░");
}

/** Programs that nobody planned for. */
function othersOf(gpus: GpuStatus[]): string[] {
  return gpus.flatMap(({ index, others }) =>
    others.map(
      ({ name, pid, usedBytes }) =>
        `GPU ${index} is also used by ${name} (pid ${pid}), which is not of this box: ${gibibytes(usedBytes)}`,
    ),
  );
}

function modelsOf({ models }: HostStatus): string[] {
  if (models.length === 0) return ["no model is declared"];
  const count = (value: number | null) => (value === null ? "–" : String(value));
  const rows = models.map((one) => [
    one.instance === one.model ? one.model : `${one.model} (${one.instance})`,
    one.engine,
    one.state,
    count(one.running),
    count(one.waiting),
    one.gpuBytes ? gibibytes(one.gpuBytes) : "–",
    memoryWords(one.memory),
  ]);
  return table(["MODEL", "ENGINE", "STATE", "AT WORK", "WAITING", "ON GPUS", "MEMORY"], rows, () => false);
}

function memoryWords(memory: HostModel["memory"]): string {
  if (!memory) return "–";
  const { usedBytes, limitBytes } = memory;
  return limitBytes
    ? `${gibibytes(usedBytes).replace(" GiB", "")} of ${gibibytes(limitBytes)}`
    : gibibytes(usedBytes);
}

function endOf({ queue, parts, docker }: HostStatus): string[] {
  if ("failed" in docker) return ["", `Docker does not answer: ${docker.failed}`];
  const grouped = new Map<string, string[]>();
  for (const { role, state } of parts) grouped.set(role, [...(grouped.get(role) ?? []), state]);
  const words = [...grouped].map(([role, states]) => `${role} ${counted(states)}`);
  const { running, waiting } = queue;
  return [
    "",
    `queue: ${running} at work, ${waiting} waiting`,
    ...(words.length > 0 ? [words.join(", ")] : []),
  ];
}

/** `2 serving + draining` */
function counted(states: string[]): string {
  const kinds = [...new Set(states)];
  return kinds
    .map((kind) => {
      const count = states.filter((one) => one === kind).length;
      return count === 1 ? kind : `${count} ${kind}`;
    })
    .join(" + ");
}

function columns(rows: string[][]): string[] {
  return table(rows[0] ?? [], rows.slice(1), () => false);
}

/** `2026-11-28 22:16:58 UTC` */
function moment(at: string): string {
  return at.replace("T", " ").replace("Z", " UTC");
}

/** `3 d 4 h ago` */
function ago(at: string, now: string): string {
  const minutes = Math.max(0, Math.floor((Date.parse(now) - Date.parse(at)) / 60_000));
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h ago`;
  return hours > 0 ? `${hours} h ${minutes % 60} min ago` : `${minutes} min ago`;
}
