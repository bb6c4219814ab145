/** What containers of engines have in common beside their devices and options: health checks, deadlines, memory. */

import { GIB, MIB } from "../kit/sizes";
import type { LockedModel } from "../models/facts";
import type { ModelGpu } from "../schema/gpuUse";
import type { HostConfig } from "../schema/host";

/**
 * Docker's health check by HTTP with bash alone: most engines' images have neither curl nor wget, and a Python interpreter
 * every few seconds is a cost of its own. Exit code 0 only for a 200.
 */
export function bashHealth(port: number, path: string): string[] {
  const request = `GET ${path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n`;
  return [
    "CMD",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/127.0.0.1/${port} && printf '${request}' >&3 && read -r status <&3 && [[ $status == *' 200'* ]]`,
  ];
}

/** Seconds for the container, its interpreter and the GPU's driver on a busy host. */
const BASE_SECONDS = 240;

/** Bytes a second of a slow disk: a hard disk or a network share. An NVMe disk reads twenty times as fast. */
const SLOW_DISK = 150_000_000;

/**
 * Seconds that a start may take. It grows with what has to be read, so that a 235B model is not given up while it loads and
 * a small one that hangs is noticed within minutes.
 *
 * @param compileSeconds what the engine spends on compilation and warm-up beside reading
 */
export function readyDeadline(weightBytes: number, compileSeconds: number): number {
  return BASE_SECONDS + Math.ceil(weightBytes / SLOW_DISK) + compileSeconds;
}

/** MiB of a server beside what the plan keeps in the host's memory: its program, its buffers, its driver's. */
const PROGRAM_MIB = 2048;

/**
 * The limit of a container's main memory: `memoryMiB`, and never less than the planner keeps there by the entry's own settings.
 *
 * @param caches MiB of caches in the host's memory
 */
export function withHostPart(memoryMiB: number, knobs: { hostMiB?: number } | undefined, caches = 0): number {
  return knobs?.hostMiB ? Math.max(memoryMiB, knobs.hostMiB + caches + PROGRAM_MIB) : memoryMiB;
}

/**
 * The deadline of an entry: its own `readySeconds`, else from the locked size. A model that is not locked cannot be bigger
 * than the memory that it is given.
 */
export function readySeconds(
  model: { readySeconds?: number; memoryMiB: number; gpu?: ModelGpu },
  { host, locked }: { host: HostConfig; locked?: LockedModel },
  compileSeconds: number,
): number {
  if (model.readySeconds) return model.readySeconds;
  const onDevices = host.gpus
    .filter(({ id }) => model.gpu?.devices.includes(id))
    .reduce((sum, { memoryGiB }) => sum + (model.gpu?.memoryGiB ?? memoryGiB), 0);
  const most = model.gpu ? onDevices * GIB : model.memoryMiB * MIB;
  return readyDeadline(locked?.weightBytes ?? most, compileSeconds);
}
