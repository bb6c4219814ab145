import type { Knobs } from "../engines/engine";
import type { Problem } from "../kit/problems";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import { demandProblems } from "./checks";
import { backendOf, type GpuDemand } from "./demand";
import { reservedBytes, totalBytes } from "./device";
import { knobsOf } from "./knobs";
import { type ManualStart, placeManual } from "./manual";
import { place, refuseAtRestart } from "./place";
import type { Refusal } from "./refusal";
import { type DevicePlan, devicePlans, devicesOf, grow, occupied, type Tenancy } from "./tenancy";

/** A backend's part of the plan. */
export interface Placement {
  model: string;
  backend: string;
  devices: DeviceId[];
  /** On each of its devices. */
  needBytes: number;
  shareBytes: number;
  knobs: Knobs;
}

/** A backend that is started by hand: what stops for it, and how its devices look while it runs. */
export interface ManualPlacement extends Placement {
  stops: string[];
  running: DevicePlan[];
}

export interface GpuPlan {
  /** What runs by default. */
  devices: DevicePlan[];
  placements: Placement[];
  manual: ManualPlacement[];
  refusals: Refusal[];
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
  const { tenancies, refusals } = place(
    gpus,
    valid.filter(({ start }) => start !== "manual"),
    [],
  );
  grow(gpus, tenancies);
  const starts: ManualStart[] = [];
  for (const demand of valid.filter(({ start }) => start === "manual")) {
    const found = placeManual(gpus, demand, tenancies);
    if ("start" in found) starts.push(found.start);
    else refusals.push(found.refusal);
  }
  refusals.push(...refuseAtRestart(gpus, tenancies));
  const times = [tenancies, ...starts.map((start) => start.tenancies)];
  return {
    devices: devicePlans(gpus, tenancies),
    placements: tenancies.map((tenancy) => placement(gpus, tenancy, times)),
    manual: starts.map(({ own, tenancies: then, stops }) => ({
      ...placement(gpus, own, [then]),
      stops,
      running: devicePlans(gpus, then).filter(({ id }) => own.demand.devices.includes(id)),
    })),
    refusals,
    problems: [...mistakes, ...refusals.map(({ problem }) => problem)],
  };
}

/** @param times who is there together, at one time or another: by default, and with each backend that is started by hand */
function placement(gpus: GpuConfig[], tenancy: Tenancy, times: Tenancy[][]): Placement {
  const { demand, needs, shares } = tenancy;
  // One set of settings serves all its devices: that of the device of which it has the smallest part.
  const device = devicesOf(gpus, demand).reduce((a, b) =>
    shares.get(a.id)! / totalBytes(a) <= shares.get(b.id)! / totalBytes(b) ? a : b,
  );
  const need = needs.get(device.id)!;
  const shareBytes = shares.get(device.id)!;
  const isOther = (other: Tenancy) =>
    other !== tenancy && (demand.group === undefined || other.demand.group !== demand.group);
  const othersBytes = Math.max(
    ...times
      .filter((time) => time.includes(tenancy))
      .map((time) => occupied(time.filter(isOther), device.id)),
  );
  return {
    model: demand.model,
    backend: backendOf(demand),
    devices: demand.devices,
    needBytes: need.bytes,
    shareBytes,
    knobs: knobsOf(demand, need, {
      totalBytes: totalBytes(device),
      reservedBytes: reservedBytes(device),
      shareBytes,
      othersBytes,
    }),
  };
}
