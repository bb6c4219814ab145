import { z } from "zod";
import { deviceId } from "./shared";

/** A GPU of the host, as it is declared: a preview asks no host. */
export const gpuSchema = z.strictObject({
  id: deviceId.describe(
    "Index or UUID of the device, or UUID of a MIG slice. UUIDs survive a change of slots.",
  ),
  memoryGiB: z
    .number()
    .positive()
    .describe("Memory of the device in GiB, as nvidia-smi shows it divided by 1024."),
  vendor: z
    .enum(["nvidia", "amd", "intel"])
    .default("nvidia")
    .describe("Who made it; decides how containers get it."),
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

export type DeviceId = z.infer<typeof deviceId>;
export type GpuConfig = z.infer<typeof gpuSchema>;
