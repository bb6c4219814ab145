import type { Problem } from "../kit/problems";
import type { LockedModel } from "../models/facts";
import type { ModelGpu } from "../schema/model";

/** Refuses a context longer than the model's own: engines fail at the start, or answer nonsense beyond it. */
export function checkContext(
  tokens: number | undefined,
  locked: LockedModel | undefined,
  path: string,
): Problem[] {
  const most = locked?.shape.contextLength;
  if (tokens === undefined || most === undefined || tokens <= most) return [];
  return [
    {
      path,
      what: `A context of ${tokens} tokens is longer than the model's ${most}.`,
      fix: `Write at most ${most}.`,
    },
  ];
}

/** Tensor parallelism: as many ranks as devices, and a whole number of attention heads on each. */
export function checkTensorParallel(
  size: number | undefined,
  gpu: ModelGpu | undefined,
  locked: LockedModel | undefined,
  path: string,
  other = 1,
): Problem[] {
  const problems: Problem[] = [];
  const devices = gpu?.devices.length;
  const ranks = size ?? (devices === undefined ? 1 : Math.max(1, Math.floor(devices / other)));
  if (devices !== undefined && ranks * other !== devices)
    problems.push({
      path,
      what: `${ranks * other} ranks do not fit on ${devices === 1 ? "1 device" : `${devices} devices`}.`,
      fix: `Write ${devices / other} here, or name ${ranks * other} devices in gpu.devices.`,
    });
  const heads = locked?.shape.attentionHeads;
  if (heads !== undefined && heads % ranks !== 0)
    problems.push({
      path,
      what: `${ranks} ranks do not divide the model's ${heads} attention heads.`,
      fix: `Use as many devices as divide ${heads}: ${divisors(heads).join(", ")}.`,
    });
  return problems;
}

function divisors(number: number): number[] {
  return Array.from({ length: Math.min(number, 16) }, (_, index) => index + 1).filter(
    (n) => number % n === 0,
  );
}
