import { z } from "zod";
import { gibibytes, MIB } from "../kit/sizes";
import type { BoxPlan, DeviceNeed } from "../kit/types";
import { serversOf } from "./servers";

/** What a container that serves models has of each of its devices. */
export const gpuTenantSchema = z.object({
  container: z.string(),
  title: z.string().describe("What people call it."),
  needs: z.array(z.object({ device: z.string(), mib: z.number() })),
});

export type GpuTenant = z.infer<typeof gpuTenantSchema>;

/** A device on which what starts has no room beside what goes, because containers that go are deleted last. */
export interface OverlapShortage {
  device: string;
  /** While both run. */
  missingMib: number;
  /** What has to be stopped before `up`, as people call it. */
  stop: string[];
  /** The same with what to type, as sentences. */
  notice: string;
}

/** Who has how much of which device while everything runs that starts by itself. */
export function gpuTenants(plan: BoxPlan): GpuTenant[] {
  return serversOf(plan).flatMap(({ title, service: { container }, needs = [] }) =>
    container.started && needs.length > 0 ? [{ container: container.name, title, needs }] : [],
  );
}

/**
 * The devices that keep an `up` from coming to its end: a container that is no longer planned is deleted when everything else
 * serves, and on a full device something cannot serve until that is deleted.
 *
 * @param before who has what now
 */
export function overlapShortages(before: GpuTenant[], plan: BoxPlan): OverlapShortage[] {
  const after = gpuTenants(plan);
  const stay = new Set(after.map(({ container }) => container));
  const gone = before.filter(({ container }) => !stay.has(container));
  return plan.devices.flatMap(({ device, mib: total }) => {
    const shares = after.flatMap(({ needs }) => needs.filter((need) => need.device === device));
    // Each share is rounded up to a whole MiB, so that those of a full device are a few more than it has.
    const taken = shares.reduce((sum, { mib }) => sum + mib, 0) - shares.length - gone.length;
    const running = gone.map(({ title, needs }) => ({ model: title, needs }));
    const missing = deviceShortage([{ device, mib: taken }], running, [{ device, mib: total }]);
    if (!missing || missing.stop.length === 0) return [];
    const { missingMib, stop } = missing;
    const containers = gone.filter(({ title }) => stop.includes(title)).map(({ container }) => container);
    const command = `docker stop ${containers.map((name) => `${plan.prefix}-${name}`).join(" ")}`;
    const notice =
      `Device ${device} has no room for what starts beside what goes, which is deleted last: ` +
      `${gibibytes(missingMib * MIB)} are missing, and \`up\` would not come to its end. ` +
      `Stop ${stop.join(" and ")} before it, on the host: \`${command}\`.`;
    return [{ device, missingMib, stop, notice }];
  });
}

export interface RunningModel {
  model: string;
  needs: DeviceNeed[];
}

/** The device on which a model does not fit, how much is missing there, and what frees enough. */
export interface DeviceShortage {
  device: string;
  missingMib: number;
  /** DeviceUsage models, as few as possible and then as small as possible; empty when even stopping all is not enough. */
  stop: string[];
}

/**
 * Whether a model fits beside those that run, by what the plan says that each needs.
 *
 * @returns the first device where it does not, or undefined
 */
export function deviceShortage(
  needs: DeviceNeed[],
  running: RunningModel[],
  devices: DeviceNeed[],
): DeviceShortage | undefined {
  for (const { device, mib } of needs) {
    const total = devices.find((one) => one.device === device)?.mib ?? 0;
    const usages = running
      .map(({ model, needs }) => ({ model, mib: needs.find((need) => need.device === device)?.mib ?? 0 }))
      .filter(({ mib }) => mib > 0);
    const missingMib = mib + sumOf(usages) - total;
    if (missingMib > 0) return { device, missingMib, stop: fewest(usages, missingMib) };
  }
  return undefined;
}

interface DeviceUsage {
  model: string;
  mib: number;
}

function sumOf(usages: DeviceUsage[]): number {
  return usages.reduce((sum, { mib }) => sum + mib, 0);
}

/** The largest ones first until it is enough; then each is exchanged for the smallest that still is. */
function fewest(usages: DeviceUsage[], missing: number): string[] {
  if (sumOf(usages) < missing) return [];
  const left = [...usages].sort((a, b) => b.mib - a.mib);
  const chosen: DeviceUsage[] = [];
  while (sumOf(chosen) < missing) {
    const rest = missing - sumOf(chosen);
    const enough = left.findLast(({ mib }) => mib >= rest);
    const next = enough ?? left[0]!;
    left.splice(left.indexOf(next), 1);
    chosen.push(next);
  }
  return chosen.map(({ model }) => model);
}
