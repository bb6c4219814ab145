import type { Problem } from "../kit/problems";
import { hundredthsOfGiB, size } from "../kit/sizes";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import { type Advice, advise } from "./advice";
import type { Pin } from "./allocation";
import { backendOf, type GpuDemand } from "./demand";
import { deviceName, totalBytes } from "./device";
import { explained } from "./lines";
import { memoryNeed } from "./memory";

/** A backend that does not fit. */
export interface CapacityRefusal {
  demand: GpuDemand;
  device: DeviceId;
  missingBytes: number;
  advice: Advice;
  problem: Problem;
}

/** The device on which a backend lacks the most memory. */
export interface Shortage {
  demand: GpuDemand;
  device: GpuConfig;
  /** The larger of its need and of the share that its settings fix. */
  wantedBytes: number;
  pin: Pin | undefined;
}

/**
 * Explains how much memory is missing, line by line, with the smallest change that fits.
 *
 * @param left free bytes of a device for this backend
 */
export function refuse(
  gpus: GpuConfig[],
  shortage: Shortage,
  left: (device: GpuConfig) => number,
): CapacityRefusal {
  const { demand, device, wantedBytes, pin } = shortage;
  const need = memoryNeed(demand, device);
  const there = left(device);
  const tooSmall = pin !== undefined && !pin.said && pin.bytes < need.bytes;
  const missingBytes = Math.max(wantedBytes - there, tooSmall ? need.bytes - pin.bytes : 0);
  const takes =
    pin && !tooSmall ? `takes ${size(wantedBytes)} by its ${pin.setting}` : `needs ${size(need.bytes)}`;
  const gives =
    tooSmall && need.bytes <= there
      ? `${pin.setting} gives it ${size(pin.bytes)}`
      : `${size(there)} of ${size(totalBytes(device))} are left`;
  const missing = hundredthsOfGiB(missingBytes, "up");
  const sentence = `${backendOf(demand)} ${takes} on ${deviceName(device.id)}, and ${gives}: ${missing} GiB are missing.`;
  const advice = advise(demand, gpus, left);
  return {
    demand,
    device: device.id,
    missingBytes,
    advice,
    problem: {
      path: demand.path,
      what: sentence,
      details: explained(need.lines).split("\n"),
      fix: advice.fix,
      ...(advice.others.length > 0 ? { others: advice.others } : {}),
    },
  };
}
