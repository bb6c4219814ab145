import { GIB, MIB } from "../kit/sizes";
import type { LockedModel } from "../models/facts";
import type { ModelGpu } from "../schema/gpu";
import type { HostConfig } from "../schema/host";

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
