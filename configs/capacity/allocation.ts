import { GIB } from "../kit/sizes";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import { backendOf, type GpuDemand } from "./demand";
import { reservedBytes, totalBytes } from "./device";
import type { Line } from "./lines";
import type { MemoryNeed } from "./memory";
import { PROCESS_BYTES } from "./overhead";

/** A backend with its share of each of its devices. */
export interface Allocation {
  demand: GpuDemand;
  needs: Map<DeviceId, MemoryNeed>;
  shares: Map<DeviceId, number>;
  pinned: Pin | undefined;
}

/** A backend on one device, as the plan shows it. */
export interface DeviceTenant {
  model: string;
  backend: string;
  /** Only one backend of a group is loaded at a time. */
  group?: string;
  needBytes: number;
  shareBytes: number;
  /** What of its share it keeps while it sleeps. Absent where it does not. */
  asleepBytes?: number;
  /** The need, line by line. */
  lines: Line[];
  /** Sources whose size nobody knows. */
  unknown?: string[];
  /** True when the model's own size is unknown: the need is the size that its entry declares. */
  declared?: boolean;
}

export interface DevicePlan {
  id: DeviceId;
  totalBytes: number;
  reservedBytes: number;
  /** In the order in which they start: the config's. */
  tenants: DeviceTenant[];
  /** Bytes that no backend has, without the reserve. */
  leftBytes: number;
  /** Group to the bytes that backends outside it leave. */
  rooms: Record<string, number>;
}

export function devicesOf(gpus: GpuConfig[], demand: GpuDemand): GpuConfig[] {
  return gpus.filter(({ id }) => demand.devices.includes(id));
}

/** Allocated bytes of a device: the sum of all shares, where a group counts as its largest beside those that sleep. */
export function allocatedBytes(allocations: Allocation[], id: DeviceId): number {
  const groups = new Map<string, { pinned: number; asleep: number; largest: number; least: number }>();
  let bytes = 0;
  for (const { demand, needs, shares } of allocations) {
    const share = shares.get(id) ?? 0;
    if (demand.group === undefined) bytes += share;
    else if (share > 0) {
      const { pinned, asleep, largest } = groups.get(demand.group) ?? { pinned: 0, asleep: 0, largest: 0 };
      const kept = needs.get(id)?.asleepBytes ?? 0;
      groups.set(demand.group, {
        pinned: pinned + (demand.pinned ? share : 0),
        asleep: asleep + kept,
        // What it takes beyond what it keeps asleep.
        largest: Math.max(largest, demand.pinned ? 0 : share - kept),
        least: demand.groupBytes ?? 0,
      });
    }
  }
  return [...groups.values()].reduce(
    (total, { pinned, asleep, largest, least }) => total + Math.max(pinned + asleep + largest, least),
    bytes,
  );
}

export function leftBytes(allocations: Allocation[], device: GpuConfig): number {
  return totalBytes(device) - reservedBytes(device) - allocatedBytes(allocations, device.id);
}

/** Bytes of a device that one more backend could have: the others give back what they got beyond their need. */
export function roomBytes(allocations: Allocation[], device: GpuConfig): number {
  const least = allocations.map((one) => ({
    ...one,
    shares: one.pinned ? one.shares : new Map([...one.needs].map(([id, need]) => [id, need.bytes])),
  }));
  return leftBytes(least, device);
}

/** Bytes of a device that a backend can have, including those of its own group. */
export function leftFor(allocations: Allocation[], { group }: GpuDemand, device: GpuConfig): number {
  const others =
    group === undefined ? allocations : allocations.filter(({ demand }) => demand.group !== group);
  return leftBytes(others, device);
}

/**
 * Divides the free bytes of each device equally among engines that use them as cache. A model gets the same on all its devices.
 *
 * @param growing allocations that may grow; all others keep their shares
 */
export function grow(
  gpus: GpuConfig[],
  allocations: Allocation[],
  growing: Allocation[] = allocations,
): void {
  const byId = new Map(gpus.map((device) => [device.id, device]));
  // A share of the free memory was computed from its neighbours' present shares, so they must not change.
  const settled = new Set(
    allocations.filter(({ pinned }) => pinned?.ofFree).flatMap(({ demand }) => demand.devices),
  );
  const able = growing.filter(
    ({ demand, pinned }) =>
      !pinned && demand.devices.every((id) => !settled.has(id) && canGrow(demand, byId.get(id)!)),
  );
  const parts = new Map(
    gpus.map((device) => {
      const claimants = able.filter(({ demand }) => demand.devices.includes(device.id)).length;
      return [device.id, Math.floor(leftBytes(allocations, device) / Math.max(1, claimants))];
    }),
  );
  for (const { demand, needs, shares } of able) {
    const part = Math.min(...demand.devices.map((id) => parts.get(id) ?? 0));
    for (const [id, need] of needs)
      shares.set(id, need.bytes + Math.max(0, Math.min(part, need.kvMostBytes - need.kvBytes)));
  }
}

/** The devices as a plan shows them. */
export function devicePlans(gpus: GpuConfig[], allocations: Allocation[]): DevicePlan[] {
  return gpus.map((device) => ({
    id: device.id,
    totalBytes: totalBytes(device),
    reservedBytes: reservedBytes(device),
    tenants: allocations
      .filter(({ demand }) => demand.devices.includes(device.id))
      .map(({ demand, needs, shares }) => ({
        model: demand.model,
        backend: backendOf(demand),
        ...(demand.group === undefined ? {} : { group: demand.group }),
        needBytes: needs.get(device.id)!.bytes,
        shareBytes: shares.get(device.id)!,
        ...(needs.get(device.id)!.asleepBytes > 0 ? { asleepBytes: needs.get(device.id)!.asleepBytes } : {}),
        lines: needs.get(device.id)!.lines,
        ...(demand.unknown ? { unknown: demand.unknown, declared: demand.engine.engine === "declared" } : {}),
      })),
    leftBytes: leftBytes(allocations, device),
    rooms: Object.fromEntries(
      allocations.flatMap(({ demand }) =>
        demand.group === undefined ? [] : [[demand.group, leftFor(allocations, demand, device)]],
      ),
    ),
  }));
}

/** A share that the config fixes, and the setting that does it. */
export interface Pin {
  setting: string;
  bytes: number;
  /** True when a person says how much it may have: that counts, also where the sum of its needs is more. */
  said?: true;
  /** True when it is a part of the memory that is free when the engine loads, so that it depends on the neighbours. */
  ofFree: boolean;
}

/**
 * The share of a device that an entry's own settings fix.
 *
 * @param free bytes that are free when it loads: the device without the backends before it
 * @returns undefined where the planner chooses
 */
export function pinnedShare(
  demand: GpuDemand,
  need: MemoryNeed,
  device: GpuConfig,
  free: number,
): Pin | undefined {
  const { engine, memoryGiB } = demand;
  const fixed = need.bytes - need.kvBytes;
  const pin = (setting: string, bytes: number, ofFree = false): Pin => ({
    setting,
    bytes: Math.floor(bytes),
    ofFree,
  });
  const tokens = (count: number) => fixed + need.stateBytes + count * need.tokenBytes;
  if (memoryGiB !== undefined) return { ...pin("gpu.memoryGiB", memoryGiB * GIB), said: true };
  if (engine.engine === "vllm") {
    if (engine.kvCacheMemoryBytes !== undefined)
      return pin("kvCacheMemoryBytes", fixed + engine.kvCacheMemoryBytes);
    // vLLM's budget begins after the process has its CUDA context.
    if (engine.gpuMemoryUtilization !== undefined)
      return pin("gpuMemoryUtilization", engine.gpuMemoryUtilization * totalBytes(device) + PROCESS_BYTES);
  }
  if (engine.engine === "sglang") {
    if (engine.maxTotalTokens !== undefined) return pin("maxTotalTokens", tokens(engine.maxTotalTokens));
    // The fraction covers weights and KV cache, of what is free once the process has its context.
    if (engine.memFractionStatic !== undefined)
      return pin(
        "memFractionStatic",
        engine.memFractionStatic * (free - PROCESS_BYTES) + fixed - need.weightBytes,
        true,
      );
  }
  if (engine.engine === "tensorrt-llm") {
    if (engine.maxTokens !== undefined) return pin("maxTokens", tokens(engine.maxTokens));
    if (engine.kvCacheFreeGpuMemoryFraction !== undefined)
      return pin(
        "kvCacheFreeGpuMemoryFraction",
        fixed + engine.kvCacheFreeGpuMemoryFraction * Math.max(0, free - fixed),
        true,
      );
  }
  return undefined;
}

/** Whether an engine turns more memory into more cache, and may do so here. */
export function canGrow(demand: GpuDemand, device: GpuConfig): boolean {
  const paged = ["vllm", "sglang", "tensorrt-llm"].includes(demand.engine.engine);
  // On unified memory what is left over is the host's page cache, which loads every model.
  return paged && !device.unified && demand.group === undefined && demand.locked.shape.task === "chat";
}
