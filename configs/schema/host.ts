import { z } from "zod";
import { absolutePath } from "./shared";

const gpu = z.strictObject({
  id: z.union([z.int().min(0), z.string()]).describe("Index or UUID of the device."),
  memoryGiB: z.number().positive().describe("Memory of the device in GiB."),
});

export const hostSchema = z.strictObject({
  docker: z
    .string()
    .regex(/^(unix:\/\/\/|ssh:\/\/).+/, "Write unix:///var/run/docker.sock or ssh://user@host.")
    .default("unix:///var/run/docker.sock")
    .describe("Address of the Docker engine that runs the box."),
  dataDir: absolutePath
    .default("/srv/gpubox")
    .describe("Directory on the host for env files, configs and model files. One box a directory."),
  gpus: z.array(gpu).default([]).describe("The host's GPUs. Empty: no GPU."),
});

export type HostConfig = z.infer<typeof hostSchema>;
