import { z } from "zod";

/** Where a stack is brought up. */
export const targetSchema = z
  .enum(["host", "kubernetes"])
  .default("host")
  .describe(
    "What `up` brings the stack up on: `host`, the Docker engine of `gpubox:host`, or `kubernetes`, the cluster of `gpubox:kubernetes` (docs/kubernetes.md).",
  );

export type Target = z.infer<typeof targetSchema>;
