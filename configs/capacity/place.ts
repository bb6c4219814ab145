import type { GpuConfig } from "../schema/gpu";
import type { GpuDemand } from "./demand";
import { totalBytes } from "./device";
import { memoryNeed } from "./memory";
import { type Refusal, refuse, type Shortage } from "./refusal";
import { type Pin, pinnedShare } from "./share";
import { devicesOf, leftFor, occupied, type Tenancy } from "./tenancy";

/**
 * Gives each backend what it needs, or the share that its settings fix, in the order of the config. One that does not fit
 * is refused and takes nothing.
 *
 * @param before backends that are there already
 */
export function place(
  gpus: GpuConfig[],
  demands: GpuDemand[],
  before: Tenancy[],
): { tenancies: Tenancy[]; refusals: Refusal[] } {
  const tenancies = [...before];
  const shortages: Shortage[] = [];
  for (const demand of demands) {
    const { tenancy, shortage } = claim(gpus, demand, tenancies);
    if (shortage) shortages.push(shortage);
    else tenancies.push(tenancy);
  }
  // Advice counts all that fits, also what stands later in the config.
  const refusals = shortages.map((shortage) =>
    refuse(gpus, shortage, (device) => leftFor(tenancies, shortage.demand, device)),
  );
  return { tenancies, refusals };
}

/**
 * Refuses backends whose share is a part of the free memory and too small once their neighbours are loaded, which is what a
 * restart after a crash meets.
 */
export function refuseAtRestart(gpus: GpuConfig[], tenancies: Tenancy[]): Refusal[] {
  return tenancies.flatMap((tenancy) => {
    if (!tenancy.pinned?.ofFree) return [];
    const others = tenancies.filter((other) => other !== tenancy);
    const { shortage } = claim(gpus, tenancy.demand, others);
    const left = (device: GpuConfig) => leftFor(others, tenancy.demand, device);
    return shortage ? [refuse(gpus, shortage, left)] : [];
  });
}

function claim(
  gpus: GpuConfig[],
  demand: GpuDemand,
  others: Tenancy[],
): { tenancy: Tenancy; shortage: Shortage | undefined } {
  const tenancy: Tenancy = { demand, needs: new Map(), shares: new Map(), pinned: undefined };
  let shortage: Shortage | undefined;
  let most = 0;
  for (const device of devicesOf(gpus, demand)) {
    const need = memoryNeed(demand, device);
    const free = totalBytes(device) - occupied(others, device.id);
    const pin: Pin | undefined = pinnedShare(demand, need, device, free);
    const wantedBytes = Math.max(need.bytes, pin?.bytes ?? 0);
    const missing = Math.max(wantedBytes - leftFor(others, demand, device), pin ? need.bytes - pin.bytes : 0);
    if (missing > most) [most, shortage] = [missing, { demand, device, wantedBytes, pin }];
    tenancy.needs.set(device.id, need);
    tenancy.shares.set(device.id, pin?.bytes ?? need.bytes);
    tenancy.pinned ??= pin;
  }
  return { tenancy, shortage };
}
