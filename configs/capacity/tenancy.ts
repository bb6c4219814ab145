import type { DeviceId, GpuConfig } from "../schema/gpu";
import { backendOf, type GpuDemand } from "./demand";
import { reservedBytes, totalBytes } from "./device";
import type { Line } from "./lines";
import type { MemoryNeed } from "./memory";
import { canGrow, type Pin } from "./share";

/** A backend with what it has of each of its devices. */
export interface Tenancy {
  demand: GpuDemand;
  needs: Map<DeviceId, MemoryNeed>;
  shares: Map<DeviceId, number>;
  pinned: Pin | undefined;
}

/** A backend on one device, as a plan shows it. */
export interface Tenant {
  model: string;
  backend: string;
  /** Of backends with the same group one is loaded at a time. */
  group?: string;
  needBytes: number;
  shareBytes: number;
  /** The need, line by line. */
  lines: Line[];
  /** Sources whose size nobody knows. */
  unknown?: string[];
  /** The model is one of them: the need is what its entry says. */
  declared?: boolean;
}

export interface DevicePlan {
  id: DeviceId;
  totalBytes: number;
  reservedBytes: number;
  /** In the order in which they start: the config's. */
  tenants: Tenant[];
  /** What no backend has, without the reserve. */
  leftBytes: number;
}

export function devicesOf(gpus: GpuConfig[], demand: GpuDemand): GpuConfig[] {
  return gpus.filter(({ id }) => demand.devices.includes(id));
}

/** Bytes of a device that backends have: each its share, of a group the largest. */
export function occupied(tenancies: Tenancy[], id: DeviceId): number {
  const groups = new Map<string, number>();
  let bytes = 0;
  for (const { demand, shares } of tenancies) {
    const share = shares.get(id) ?? 0;
    if (demand.group === undefined) bytes += share;
    else groups.set(demand.group, Math.max(groups.get(demand.group) ?? 0, share));
  }
  return [...groups.values()].reduce((total, share) => total + share, bytes);
}

export function left(tenancies: Tenancy[], device: GpuConfig): number {
  return totalBytes(device) - reservedBytes(device) - occupied(tenancies, device.id);
}

/** What a backend can have of a device: the room of its own group is its to use. */
export function leftFor(tenancies: Tenancy[], { group }: GpuDemand, device: GpuConfig): number {
  const others = group === undefined ? tenancies : tenancies.filter(({ demand }) => demand.group !== group);
  return left(others, device);
}

/**
 * Gives what is left of each device to engines that make cache of it: in equal parts, and as much on all devices of a model.
 *
 * @param growing those that may grow; others keep what they have
 */
export function grow(gpus: GpuConfig[], tenancies: Tenancy[], growing: Tenancy[] = tenancies): void {
  const byId = new Map(gpus.map((device) => [device.id, device]));
  // A share of the free memory was worked out from its neighbours as they are: they must stay so.
  const settled = new Set(
    tenancies.filter(({ pinned }) => pinned?.ofFree).flatMap(({ demand }) => demand.devices),
  );
  const able = growing.filter(
    ({ demand, pinned }) =>
      !pinned && demand.devices.every((id) => !settled.has(id) && canGrow(demand, byId.get(id)!)),
  );
  const parts = new Map(
    gpus.map((device) => {
      const claimants = able.filter(({ demand }) => demand.devices.includes(device.id)).length;
      return [device.id, Math.floor(left(tenancies, device) / Math.max(1, claimants))];
    }),
  );
  for (const { demand, needs, shares } of able) {
    const part = Math.min(...demand.devices.map((id) => parts.get(id) ?? 0));
    for (const [id, need] of needs)
      shares.set(id, need.bytes + Math.max(0, Math.min(part, need.kvMostBytes - need.kvBytes)));
  }
}

/** The devices as people read them. */
export function devicePlans(gpus: GpuConfig[], tenancies: Tenancy[]): DevicePlan[] {
  return gpus.map((device) => ({
    id: device.id,
    totalBytes: totalBytes(device),
    reservedBytes: reservedBytes(device),
    tenants: tenancies
      .filter(({ demand }) => demand.devices.includes(device.id))
      .map(({ demand, needs, shares }) => ({
        model: demand.model,
        backend: backendOf(demand),
        ...(demand.group === undefined ? {} : { group: demand.group }),
        needBytes: needs.get(device.id)!.bytes,
        shareBytes: shares.get(device.id)!,
        lines: needs.get(device.id)!.lines,
        ...(demand.unknown ? { unknown: demand.unknown, declared: demand.engine.engine === "declared" } : {}),
      })),
    leftBytes: left(tenancies, device),
  }));
}
