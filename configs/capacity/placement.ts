import type { MemorySettings } from "../engines/engine";
import type { Problem } from "../kit/problems";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import {
  type Allocation,
  allocatedBytes,
  type DevicePlan,
  devicePlans,
  devicesOf,
  grow,
  leftFor,
  roomBytes,
} from "./allocation";
import { demandProblems } from "./checks";
import { backendOf, type GpuDemand } from "./demand";
import { reservedBytes, totalBytes } from "./device";
import { type ManualStart, placeManual } from "./manual";
import { memorySettings } from "./memorySettings";
import { place, refuseAtRestart } from "./place";
import type { CapacityRefusal } from "./refusal";

/** A backend's part of the plan. */
export interface Placement {
  model: string;
  backend: string;
  devices: DeviceId[];
  /** On each of its devices. */
  needBytes: number;
  shareBytes: number;
  /** What of its share it keeps while it sleeps. Absent where it does not. */
  asleepBytes?: number;
  knobs: MemorySettings;
}

/** A backend that is started by hand, with the backends that stop for it and the state of its devices while it runs. */
export interface ManualPlacement extends Placement {
  stops: string[];
  running: DevicePlan[];
}

export interface GpuPlan {
  /** What runs by default. */
  devices: DevicePlan[];
  /** Bytes of each device that one more backend could have. */
  rooms: Map<DeviceId, number>;
  placements: Placement[];
  manual: ManualPlacement[];
  refusals: CapacityRefusal[];
  /** Every mistake, refusals included. Empty: the plan holds. */
  problems: Problem[];
}

/** A backend's part of the plan, whether it runs by default or is started by hand. */
export function placementOf({ placements, manual }: GpuPlan, backend: string): Placement | undefined {
  return [...placements, ...manual].find((one) => one.backend === backend);
}

/**
 * Places all backends of a host. Pure: the same input gives the same plan.
 *
 * Each backend gets what it needs, or the share that its own settings fix. What is left on a device then goes in equal parts
 * to the engines that make more cache of it. Backends that are started by hand count only while they run.
 */
export function planGpus(gpus: GpuConfig[], demands: GpuDemand[]): GpuPlan {
  const mistakes = demandProblems(gpus, demands);
  const valid = mistakes.length === 0 ? demands : [];
  const { allocations, refusals } = place(
    gpus,
    valid.filter(({ start }) => start !== "manual"),
    [],
  );
  grow(gpus, allocations);
  const starts: ManualStart[] = [];
  for (const demand of valid.filter(({ start }) => start === "manual")) {
    const found = placeManual(gpus, demand, allocations);
    if ("start" in found) starts.push(found.start);
    else refusals.push(found.refusal);
  }
  refusals.push(...refuseAtRestart(gpus, allocations));
  const times = [allocations, ...starts.map((start) => start.allocations)];
  return {
    devices: devicePlans(gpus, allocations),
    rooms: new Map(gpus.map((device) => [device.id, roomBytes(allocations, device)])),
    placements: allocations.map((allocation) => placement(gpus, allocation, times)),
    manual: starts.map(({ own, allocations: then, stops }) => ({
      ...placement(gpus, own, [then]),
      stops,
      running: devicePlans(gpus, then).filter(({ id }) => own.demand.devices.includes(id)),
    })),
    refusals,
    problems: [...mistakes, ...refusals.map(({ problem }) => problem)],
  };
}

/** Bytes that other models of its group may have taken when it loads; none in a slot, which has one at a time. */
function neighboursBytes(all: Allocation[], { demand, shares }: Allocation, device: GpuConfig): number {
  if (!demand.sharesGroup) return 0;
  const budget = demand.groupBytes ?? leftFor(all, demand, device);
  return Math.max(0, budget - shares.get(device.id)!);
}

/** @param times allocations that exist together: the default ones, and those while each manual backend runs */
function placement(gpus: GpuConfig[], allocation: Allocation, times: Allocation[][]): Placement {
  const { demand, needs, shares } = allocation;
  // One set of settings must work on all its devices: that of the device of which it has the smallest part.
  const device = devicesOf(gpus, demand).reduce((a, b) =>
    shares.get(a.id)! / totalBytes(a) <= shares.get(b.id)! / totalBytes(b) ? a : b,
  );
  const need = needs.get(device.id)!;
  const shareBytes = shares.get(device.id)!;
  const isOther = (other: Allocation) =>
    other !== allocation && (demand.group === undefined || other.demand.group !== demand.group);
  const othersBytes = Math.max(
    ...times
      .filter((time) => time.includes(allocation))
      .map(
        (time) => allocatedBytes(time.filter(isOther), device.id) + neighboursBytes(time, allocation, device),
      ),
  );
  return {
    model: demand.model,
    backend: backendOf(demand),
    devices: demand.devices,
    needBytes: need.bytes,
    shareBytes,
    ...(need.asleepBytes > 0 ? { asleepBytes: need.asleepBytes } : {}),
    knobs: memorySettings(demand, need, {
      totalBytes: totalBytes(device),
      reservedBytes: reservedBytes(device),
      shareBytes,
      othersBytes,
    }),
  };
}
