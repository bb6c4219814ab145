import { z } from "zod";

/** Index (`0`), UUID (`GPU-…`), or a MIG slice (`MIG-…`). */
export const deviceId = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^(GPU|MIG)-[0-9A-Za-z-]+$/, "Write an index, a GPU's UUID (GPU-…) or a MIG slice's (MIG-…)."),
]);

/** A GPU of the host, as it is declared: a preview asks no host. */
export const gpuSchema = z.strictObject({
  id: deviceId.describe(
    "Index or UUID of the device, or UUID of a MIG slice. UUIDs survive a change of slots.",
  ),
  memoryGiB: z
    .number()
    .positive()
    .describe("Memory of the device in GiB, as nvidia-smi shows it divided by 1024."),
  vendor: z.enum(["nvidia", "amd"]).default("nvidia").describe("Who made it; decides how containers get it."),
  computeCapability: z
    .string()
    .regex(/^\d+\.\d$/, "Write it as NVIDIA does, for example 8.9.")
    .optional()
    .describe("Compute capability of an NVIDIA device, for images that are built for one (8.9, 12.1)."),
  unified: z
    .boolean()
    .default(false)
    .describe("Memory is shared with the host (GB10, Strix Halo): the operating system's part is kept free."),
});

/** What a model's backend asks of the host's GPUs. */
export const modelGpuSchema = z.strictObject({
  devices: z.array(deviceId).min(1).describe("Devices of gpubox:host.gpus that this backend runs on."),
  memoryGiB: z
    .number()
    .positive()
    .optional()
    .describe(
      "GiB on each device. Default: what the planner finds from weights, context and the engine's overhead.",
    ),
});

export type DeviceId = z.infer<typeof deviceId>;
export type GpuConfig = z.infer<typeof gpuSchema>;
export type ModelGpu = z.infer<typeof modelGpuSchema>;
