import type { DeviceNeed } from "../kit/types";

export interface RunningModel {
  model: string;
  needs: DeviceNeed[];
}

/** The device on which a model does not fit, how much is missing there, and what frees enough. */
export interface NoRoom {
  device: string;
  missingMib: number;
  /** Running models, as few as possible and then as small as possible; empty when even stopping all is not enough. */
  stop: string[];
}

/**
 * Whether a model fits beside those that run, by what the plan says that each needs.
 *
 * @returns the first device where it does not, or undefined
 */
export function noRoom(
  needs: DeviceNeed[],
  running: RunningModel[],
  devices: DeviceNeed[],
): NoRoom | undefined {
  for (const { device, mib } of needs) {
    const total = devices.find((one) => one.device === device)?.mib ?? 0;
    const tenants = running
      .map(({ model, needs }) => ({ model, mib: needs.find((need) => need.device === device)?.mib ?? 0 }))
      .filter((tenant) => tenant.mib > 0);
    const missingMib = mib + sumOf(tenants) - total;
    if (missingMib > 0) return { device, missingMib, stop: fewest(tenants, missingMib) };
  }
  return undefined;
}

interface Tenant {
  model: string;
  mib: number;
}

function sumOf(tenants: Tenant[]): number {
  return tenants.reduce((sum, { mib }) => sum + mib, 0);
}

/** The largest ones first until it is enough; then each is exchanged for the smallest that still is. */
function fewest(tenants: Tenant[], missing: number): string[] {
  if (sumOf(tenants) < missing) return [];
  const left = [...tenants].sort((a, b) => b.mib - a.mib);
  const chosen: Tenant[] = [];
  while (sumOf(chosen) < missing) {
    const rest = missing - sumOf(chosen);
    const enough = left.findLast(({ mib }) => mib >= rest);
    const next = enough ?? left[0]!;
    left.splice(left.indexOf(next), 1);
    chosen.push(next);
  }
  return chosen.map(({ model }) => model);
}
