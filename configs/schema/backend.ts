import { z } from "zod";
import { modelGpuSchema } from "./gpu";
import { instancesOption, modelBase } from "./model";
import { memoryMiB, pidsLimit, port, secretRef } from "./shared";

const expose = z.strictObject({
  port: port.describe("Port of this host."),
  bind: z
    .union([z.ipv4(), z.ipv6()])
    .default("127.0.0.1")
    .describe(
      "Host address of that port. Another than loopback is for networks that you trust: it is plain HTTP.",
    ),
  key: secretRef.describe("The key that clients of this port send, as Authorization: Bearer or x-api-key."),
});

const gpu = modelGpuSchema
  .optional()
  .describe("The GPUs that it runs on. Default: none, it runs on the CPU.");
const exposed = expose
  .optional()
  .describe("A port of its own for clients that go past the gateway: no limits, no spend, no virtual keys.");

/** What every entry has whose engine runs as a container of this box. `memoryDefault`: MiB. */
export function backendBase(memoryDefault: number) {
  return {
    memoryMiB: memoryMiB
      .default(memoryDefault)
      .describe("Limit of the container's main memory in MiB, shared memory and /tmp included."),
    pidsLimit: pidsLimit
      .optional()
      .describe("Processes and threads that its container may have at most. Default: 8192."),
    readySeconds: z
      .int()
      .positive()
      .optional()
      .describe("Seconds from start to a loaded model. Default: what the model's size asks for."),
    holdSeconds: z
      .int()
      .min(0)
      .max(600)
      .optional()
      .describe(
        "Seconds that a request waits while the backend restarts; then it is answered 503 with Retry-After. Default: 30, and 0 where another instance can take it.",
      ),
    extraArgs: z.array(z.string()).default([]).describe("More flags of the engine, one word each."),
    env: z.record(z.string(), z.string()).default({}).describe("Environment of the container. No secrets."),
    gpu,
    expose: exposed,
    instances: instancesOption({ gpu, expose: exposed }),
    ...modelBase,
  };
}

export type ExposeConfig = z.infer<typeof expose>;
