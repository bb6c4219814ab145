import { MIB } from "../../configs/kit/sizes";

/** What a GPU says of itself. A figure is null where it does not say. */
export interface GpuFigures {
  vendor: "nvidia" | "amd";
  /** Its number among those of its vendor, from 0. */
  index: string;
  uuid: string | null;
  name: string;
  /** Null for one that shares the host's memory. */
  memory: { usedBytes: number; totalBytes: number } | null;
  busyPercent: number | null;
  celsius: number | null;
  watts: number | null;
  wattsLimit: number | null;
}

/** The table of `nvidia-smi`: index, UUID, name, MiB used and there, percent, °C, W now and at most. */
export function nvidiaGpus(table: string): GpuFigures[] {
  return rows(table).map(([index = "", uuid = "", name = "", used, total, busy, celsius, watts, limit]) => ({
    ...{ vendor: "nvidia" as const, index, uuid, name },
    memory: memoryOf(figure(used), figure(total), MIB),
    ...{ busyPercent: figure(busy), celsius: figure(celsius) },
    ...{ watts: figure(watts), wattsLimit: figure(limit) },
  }));
}

/** What AMD's driver shows in files: id, name, bytes used and there, percent, m°C, µW now and at most. */
export function amdGpus(table: string): GpuFigures[] {
  return rows(table).map(([uuid, name, used, total, busy, heat, power, cap], index) => ({
    ...{ vendor: "amd" as const, index: String(index), uuid: uuid || null, name: name || "AMD" },
    memory: memoryOf(figure(used), figure(total), 1),
    ...{ busyPercent: figure(busy), celsius: part(figure(heat), 1e3) },
    ...{ watts: part(figure(power), 1e6), wattsLimit: part(figure(cap), 1e6) },
  }));
}

function rows(table: string): string[][] {
  const lines = table.split("\n").filter((line) => line.includes(","));
  return lines.map((line) => line.split(",").map((cell) => cell.trim()));
}

/** Null for `[N/A]`, `[Not Supported]` and nothing. */
function figure(cell: string | undefined): number | null {
  return cell && /^\d+(\.\d+)?$/.test(cell) ? Number(cell) : null;
}

function part(value: number | null, of: number): number | null {
  return value === null ? null : value / of;
}

function memoryOf(used: number | null, total: number | null, unit: number): GpuFigures["memory"] {
  return used === null || !total ? null : { usedBytes: used * unit, totalBytes: total * unit };
}
