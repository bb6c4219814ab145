import { planStackGpus } from "../../configs/capacity/stack";
import { MIB } from "../../configs/kit/sizes";
import type { GpuChange, GpuUse, Side } from "./types";

/** Devices on which a model's share of memory changes. */
export function gpuChanges(before: Side | undefined, after: Side): GpuChange[] {
  const [a, b] = [before ? usesOf(before) : {}, usesOf(after)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((device) => JSON.stringify(a[device]) !== JSON.stringify(b[device]))
    .map((device) => ({ device, before: a[device], after: b[device] }));
}

/** Memory of each model by device, while every automatically started model runs. */
export function usesOf({ config, lock }: Pick<Side, "config" | "lock">): Record<string, GpuUse> {
  const mib = (bytes: number) => Math.round(bytes / MIB);
  return Object.fromEntries(
    planStackGpus(config, lock).devices.map(({ id, totalBytes, reservedBytes, leftBytes, tenants }) => [
      String(id),
      {
        totalMiB: mib(totalBytes),
        usedMiB: mib(totalBytes - reservedBytes - leftBytes),
        tenants: tenants.map(({ backend, shareBytes }) => ({ backend, mib: mib(shareBytes) })),
      },
    ]),
  );
}

/** The same as a stack output: `28000 of 98304 MiB: qwen 28000` by device. */
export function gpuWords(side: Pick<Side, "config" | "lock">): Record<string, string> {
  return Object.fromEntries(
    Object.entries(usesOf(side)).map(([device, { usedMiB, totalMiB, tenants }]) => {
      const shares = tenants.map(({ backend, mib }) => `${backend} ${mib}`).join(", ");
      return [device, `${usedMiB} of ${totalMiB} MiB${shares ? `: ${shares}` : ""}`];
    }),
  );
}
