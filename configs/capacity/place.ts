import type { GpuConfig } from "../schema/gpu";
import { type Allocation, allocatedBytes, devicesOf, leftFor, type Pin, pinnedShare } from "./allocation";
import type { GpuDemand } from "./demand";
import { totalBytes } from "./device";
import { memoryNeed } from "./memory";
import { type CapacityRefusal, refuse, type Shortage } from "./refusal";

/**
 * Allocates to each backend what it needs, or the share that its settings fix, in the order of the config. A backend that does
 * not fit is refused and gets nothing.
 *
 * @param before existing allocations
 */
export function place(
  gpus: GpuConfig[],
  demands: GpuDemand[],
  before: Allocation[],
): { allocations: Allocation[]; refusals: CapacityRefusal[] } {
  const allocations = [...before];
  const shortages: Shortage[] = [];
  for (const demand of demands) {
    const { allocation, shortage } = claim(gpus, demand, allocations);
    if (shortage) shortages.push(shortage);
    else allocations.push(allocation);
  }
  // The advice takes every backend that fits into account, also those later in the config.
  const refusals = shortages.map((shortage) =>
    refuse(gpus, shortage, (device) => leftFor(allocations, shortage.demand, device)),
  );
  return { allocations, refusals };
}

/**
 * Refuses backends whose share is a part of the free memory and too small once their neighbours are loaded, which is what a
 * restart after a crash meets.
 */
export function refuseAtRestart(gpus: GpuConfig[], allocations: Allocation[]): CapacityRefusal[] {
  return allocations.flatMap((allocation) => {
    if (!allocation.pinned?.ofFree) return [];
    const others = allocations.filter((other) => other !== allocation);
    const { shortage } = claim(gpus, allocation.demand, others);
    const left = (device: GpuConfig) => leftFor(others, allocation.demand, device);
    return shortage ? [refuse(gpus, shortage, left)] : [];
  });
}

function claim(
  gpus: GpuConfig[],
  demand: GpuDemand,
  others: Allocation[],
): { allocation: Allocation; shortage: Shortage | undefined } {
  const allocation: Allocation = { demand, needs: new Map(), shares: new Map(), pinned: undefined };
  let shortage: Shortage | undefined;
  let most = 0;
  for (const device of devicesOf(gpus, demand)) {
    const need = memoryNeed(demand, device);
    const free = totalBytes(device) - allocatedBytes(others, device.id);
    const pin: Pin | undefined = pinnedShare(demand, need, device, free);
    const wantedBytes = pin?.said ? pin.bytes : Math.max(need.bytes, pin?.bytes ?? 0);
    const tooLittle = pin && !pin.said ? need.bytes - pin.bytes : 0;
    const missing = Math.max(wantedBytes - leftFor(others, demand, device), tooLittle);
    if (missing > most) [most, shortage] = [missing, { demand, device, wantedBytes, pin }];
    allocation.needs.set(device.id, need);
    allocation.shares.set(device.id, pin?.bytes ?? need.bytes);
    allocation.pinned ??= pin;
  }
  return { allocation, shortage };
}
