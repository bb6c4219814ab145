import type { GpuConfig } from "../schema/gpu";
import { type Allocation, grow } from "./allocation";
import { backendOf, type GpuDemand } from "./demand";
import { place } from "./place";
import type { CapacityRefusal } from "./refusal";

/** A backend that is started by hand, beside those that keep running. */
export interface ManualStart {
  own: Allocation;
  /** Itself and what stays. */
  allocations: Allocation[];
  /** Backends that stop for it, in the order of the config. */
  stops: string[];
}

/**
 * Places a backend that is started by hand: with nothing stopped if possible, else with as few backends stopped as necessary,
 * the last in the config first. `excludes` names the backends to stop instead.
 *
 * @param resident what runs by default, with its final shares
 */
export function placeManual(
  gpus: GpuConfig[],
  demand: GpuDemand,
  resident: Allocation[],
): { start: ManualStart } | { refusal: CapacityRefusal } {
  const without = (stopped: Allocation[]) =>
    place(
      gpus,
      [demand],
      resident.filter((other) => !stopped.includes(other)),
    );
  const neighbours = resident.filter((other) =>
    other.demand.devices.some((id) => demand.devices.includes(id)),
  );
  let stopped = demand.excludes
    ? neighbours.filter((other) => demand.excludes?.includes(backendOf(other.demand)))
    : [];
  let placed = without(stopped);
  if (!demand.excludes) {
    for (const next of [...neighbours].reverse()) {
      if (placed.refusals.length === 0) break;
      stopped = [next, ...stopped];
      placed = without(stopped);
    }
    if (placed.refusals.length === 0)
      // Some need not stop after all: they are on another device, or too small to matter.
      for (const kept of stopped) {
        const fewer = stopped.filter((other) => other !== kept);
        const tried = without(fewer);
        if (tried.refusals.length === 0) [stopped, placed] = [fewer, tried];
      }
  }
  const [refusal] = placed.refusals;
  if (refusal) return { refusal };
  const own = placed.allocations.at(-1)!;
  // The settings of the remaining backends are already fixed, so only this one can grow.
  grow(gpus, placed.allocations, [own]);
  return {
    start: { own, allocations: placed.allocations, stops: stopped.map((other) => backendOf(other.demand)) },
  };
}
