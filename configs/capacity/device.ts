import { GIB } from "../kit/sizes";
import type { DeviceId, GpuConfig } from "../schema/gpu";

/** Part of a device that is never allocated: engines that share it may take 95 % together (vLLM's accounting of co-tenants). */
const RESERVE = 0.05;

/** On unified memory: what the operating system, the gateway and the stores keep, at least this and at least a tenth. */
const UNIFIED_RESERVE_BYTES = 8 * GIB;
const UNIFIED_RESERVE = 0.1;

/** Bytes of a device. */
export function totalBytes(device: GpuConfig): number {
  return Math.floor(device.memoryGiB * GIB);
}

/** Bytes of a device that no backend gets. */
export function reservedBytes(device: GpuConfig): number {
  const total = totalBytes(device);
  return Math.ceil(
    device.unified ? Math.max(UNIFIED_RESERVE_BYTES, total * UNIFIED_RESERVE) : total * RESERVE,
  );
}

/** Bytes that a device like this one must have so that `bytes` are left without its reserve. */
export function totalFor(device: GpuConfig, bytes: number): number {
  return device.unified
    ? Math.max(bytes + UNIFIED_RESERVE_BYTES, bytes / (1 - UNIFIED_RESERVE))
    : bytes / (1 - RESERVE);
}

/** `device 0`, `device GPU-…`, `slice MIG-…`. */
export function deviceName(id: DeviceId): string {
  return isSlice(id) ? `slice ${id}` : `device ${id}`;
}

/** A MIG slice: a device of its own, which one process of one rank uses. */
export function isSlice(id: DeviceId): boolean {
  return String(id).startsWith("MIG-");
}
