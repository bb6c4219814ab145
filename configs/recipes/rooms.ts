import type { GpuPlan } from "../capacity/placement";
import type { StackConfig } from "../stack/config";
import type { Room } from "./fit";

/** What the stack's models leave of each device. */
export function roomsOf(config: StackConfig, { rooms }: GpuPlan): Room[] {
  return config.host.gpus.map((gpu) => ({ gpu, freeBytes: Math.max(0, rooms.get(gpu.id) ?? 0) }));
}
