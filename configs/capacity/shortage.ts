import { z } from "zod";
import { gibibytes, MIB } from "../kit/sizes";
import type { BoxPlan, DeviceNeed } from "../kit/types";
import { serversOf } from "./servers";

/** A container that serves models, with its share of each of its devices. */
export const gpuTenantSchema = z.object({
  container: z.string(),
  title: z.string().describe("What people call it."),
  needs: z.array(z.object({ device: z.string(), mib: z.number() })),
});

export type GpuTenant = z.infer<typeof gpuTenantSchema>;

/** A device that cannot hold the new containers beside the old ones, which `up` deletes last. */
export interface OverlapShortage {
  device: string;
  /** Missing while both run. */
  missingMib: number;
  /** Titles of the containers to stop before `up`. */
  stop: string[];
  /** The same as sentences, with the command to type. */
  notice: string;
}

/** Device shares of all containers that start by themselves. */
export function gpuTenants(plan: BoxPlan): GpuTenant[] {
  return serversOf(plan).flatMap(({ title, service: { container }, needs = [] }) =>
    container.started && needs.length > 0 ? [{ container: container.name, title, needs }] : [],
  );
}

/**
 * The devices on which an `up` would get stuck. It deletes a container that is no longer planned only after everything else
 * serves, but on a full device a new container cannot serve until the old one is deleted.
 *
 * @param before the present shares
 */
export function overlapShortages(before: GpuTenant[], plan: BoxPlan): OverlapShortage[] {
  const after = gpuTenants(plan);
  const stay = new Set(serversOf(plan).map(({ service }) => service.container.name));
  const gone = before.filter(({ container }) => !stay.has(container));
  return plan.devices.flatMap(({ device, mib: total }) => {
    const shares = after.flatMap(({ needs }) => needs.filter((need) => need.device === device));
    // Each share is rounded up to a whole MiB, so the shares of a full device may add up to a few MiB more than it has.
    const taken = shares.reduce((sum, { mib }) => sum + mib, 0) - shares.length - gone.length;
    const running = gone.map(({ title, needs }) => ({ model: title, needs }));
    const missing = deviceShortage([{ device, mib: taken }], running, [{ device, mib: total }]);
    if (!missing || missing.stop.length === 0) return [];
    const { missingMib, stop } = missing;
    const containers = gone.filter(({ title }) => stop.includes(title)).map(({ container }) => container);
    const command = `docker stop ${containers.map((name) => `${plan.prefix}-${name}`).join(" ")}`;
    const notice =
      `Device ${device} cannot hold the new containers beside the old ones, which \`up\` deletes last: ` +
      `${gibibytes(missingMib * MIB)} are missing, and \`up\` could not finish. ` +
      `Stop ${stop.join(" and ")} before it, on the host: \`${command}\`.`;
    return [{ device, missingMib, stop, notice }];
  });
}

export interface RunningModel {
  model: string;
  needs: DeviceNeed[];
}

/** A device on which a model does not fit, the missing memory, and the models to stop. */
export interface DeviceShortage {
  device: string;
  missingMib: number;
  /** DeviceUsage models, as few as possible and then as small as possible; empty when even stopping all is not enough. */
  stop: string[];
}

/**
 * Checks whether a model fits beside the running ones, by their planned needs.
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

/** Picks the largest models until the rest fits, then the smallest model that frees that rest. */
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
