import { z } from "zod";
import { deviceId } from "./shared";

/** What a model's backend asks of the host's GPUs. */
export const modelGpu = z.strictObject({
  devices: z.array(deviceId).min(1).describe("Devices of gpubox:host.gpus that this backend runs on."),
  memoryGiB: z
    .number()
    .positive()
    .optional()
    .describe(
      "GiB on each device. Default: what the planner finds from weights, context and the engine's overhead.",
    ),
});

export type ModelGpu = z.infer<typeof modelGpu>;
