import { z } from "zod";
import { modelName, secretRef, stackName } from "./shared";

/** It becomes the name of an instance, `<model>-<box>`. */
const boxName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/,
    "Write lower-case letters, digits and dashes, at most 32, for example gpu2.",
  );

export const boxSchema = z.strictObject({
  stack: stackName
    .optional()
    .describe(
      "The box's stack: it serves what Pulumi.<stack>.yaml beside this file says. Default: the entry's name.",
    ),
  key: secretRef.describe("The secret that holds a key of that box: a virtual one, or its master key."),
  url: z
    .url({ protocol: /^https?$/, error: "Write a URL, for example http://gpu2.tailnet.ts.net:4000." })
    .optional()
    .describe(
      "Where this gateway reaches that box, without /v1. Default: what gateway.bind, hosts and port in its file say.",
    ),
  models: z
    .array(modelName)
    .min(1)
    .optional()
    .describe("Public names of its models that are served here. Default: all."),
  aliases: z
    .boolean()
    .default(true)
    .describe("Its models' aliases are served here too. false: where two boxes use the same."),
  weight: z
    .number()
    .positive()
    .optional()
    .describe("Share of the requests, for models that other boxes have too."),
  order: z
    .int()
    .min(1)
    .optional()
    .describe("The box with the lowest order is tried first, for models that other boxes have too."),
});

export const boxesSchema = z
  .record(boxName, boxSchema)
  .default({})
  .describe("Other boxes of this project whose models this stack's gateways serve: name to box.");

export type BoxConfig = z.infer<typeof boxSchema>;
export type BoxesConfig = z.infer<typeof boxesSchema>;
