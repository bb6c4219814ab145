import { z } from "zod";
import { modelGpu } from "./gpuUse";
import { modelName, networkName, stackName } from "./shared";

/** Hosts of one model at most: with one GPU each, the largest tensor parallelism that models' heads divide by. */
const MOST_HOSTS = 16;

const address = z.ipv4({ error: "Write an IPv4 address, for example 10.77.0.1." });

/** What an entry has whose server may span several hosts. */
export const nodesOption = z
  .strictObject({
    network: networkName.describe(
      "A Docker network that leads to the other hosts, under the same name on each: macvlan or ipvlan on the link between them, or an overlay. gpubox joins it, and makes none.",
    ),
    address: address.describe("Address of this host's container there, and of rank 0."),
    workers: z
      .array(
        z.strictObject({
          stack: stackName.describe(
            "The host's own stack in this project; its file says gpubox:joins with this model's name.",
          ),
          address: address.describe("Address of its container on that network."),
        }),
      )
      .min(1)
      .max(MOST_HOSTS - 1)
      .describe("The other hosts: rank 1, rank 2, … in this order."),
  })
  .optional()
  .describe(
    "Other hosts that this model's server spans, each with as many GPUs as this one: tensor × pipeline parallelism make their product. Default: this host alone.",
  );

export const joinsSchema = z
  .record(
    modelName,
    z.strictObject({
      stack: stackName.describe("The stack whose entry of that name has this one among its nodes.workers."),
      gpu: modelGpu.optional().describe("The GPUs of this host for it. Default: none, it runs on the CPU."),
    }),
  )
  .default({})
  .describe(
    "Models of other stacks that this host computes a part of: name to stack. Their entries say the rest.",
  );

export type NodesConfig = NonNullable<z.infer<typeof nodesOption>>;
export type JoinsConfig = z.infer<typeof joinsSchema>;
