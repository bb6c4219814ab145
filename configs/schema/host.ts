import { z } from "zod";
import { gpuSchema } from "./gpu";
import { absolutePath } from "./shared";

export const hostSchema = z.strictObject({
  docker: z
    .string()
    .regex(/^(unix:\/\/\/|ssh:\/\/).+/, "Write unix:///var/run/docker.sock or ssh://user@host.")
    .default("unix:///var/run/docker.sock")
    .describe("Address of the Docker engine that runs the box."),
  dataDir: absolutePath
    .default("/srv/gpubox")
    .describe("Directory on the host for env files, configs and model files. One box a directory."),
  arch: z
    .enum(["amd64", "arm64"])
    .default("amd64")
    .describe("Architecture of the host; decides which images run. DGX Spark is arm64."),
  modelHub: z
    .string()
    .regex(/^https?:\/\/[^\s?#]*[^\s?#/]$/, "Write the base URL of a hub, without a slash at its end.")
    .default("https://huggingface.co")
    .describe(
      "The model hub, or a mirror of it: where models are locked and downloaded from. By http:// the token of gpubox:hfToken crosses the network in plain text.",
    ),
  gpus: z.array(gpuSchema).default([]).describe("The host's GPUs. Empty: no GPU."),
  gpuGroups: z
    .array(z.int().min(0))
    .default([])
    .describe(
      "Numeric groups of AMD's device files: stat -c %g /dev/kfd /dev/dri/renderD128. Names would resolve inside the image.",
    ),
});

export type HostConfig = z.infer<typeof hostSchema>;
