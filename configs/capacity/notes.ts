import { MIB, size } from "../kit/sizes";
import type { GpuPlan } from "./placement";

/** What the person who runs the box should know of a plan that holds. */
export function gpuNotes({ placements, manual }: GpuPlan): string[] {
  return [...placements, ...manual].flatMap(({ backend, needBytes, shareBytes, asleepBytes, knobs }) => [
    ...(shareBytes < needBytes
      ? [
          `${backend}: gpu.memoryGiB gives it ${size(shareBytes)}, and the plan's own sum is ${size(needBytes)}. It is taken as it is: if the sum is right, the server ends at its start.`,
        ]
      : []),
    ...(asleepBytes === undefined
      ? []
      : [`${backend}: asleep it keeps ${size(asleepBytes)} of each of its devices.`]),
    ...(knobs.hostMiB
      ? [
          `${backend}: its settings keep ${size(knobs.hostMiB * MIB)} in the host's memory. Its container may have as much, also where memoryMiB is less.`,
        ]
      : []),
  ]);
}
