import { z } from "zod";

/** A secret of the stack by name, `{ secret: azureApiKey }`, set with `pulumi config set --secret gpubox:azureApiKey`. */
export const secretRef = z
  .strictObject({
    secret: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9]*$/, "A secret's name is letters and digits, for example azureApiKey."),
  })
  .describe("A secret of the stack by its name, never a value.");

/** A key that may also be said to be none. */
export const keyRef = z.union([secretRef, z.literal("none")], {
  error: "Write { secret: <name of a secret> }, or none where the server wants no key.",
});

export type SecretRef = z.infer<typeof secretRef>;

export const port = z.int().min(1).max(65535);

/** Host address that a port is published on. */
export const portBind = z
  .union([z.ipv4(), z.ipv6()])
  .default("127.0.0.1")
  .describe("Host address of that port: loopback, or the LAN's or tailnet's address of this host.");

/** Seconds. */
export const seconds = z.int().min(0);

/** Seconds that one request may take at most: a day. Edge and valves wait as long as the longest of them. */
export const requestSeconds = z.int().min(1).max(86_400);

/** MiB: a container's memory limit. Docker refuses less than 6. */
export const memoryMiB = z.int().min(16);

/** Processes and threads of a container. Below this many the engines themselves do not start. */
export const pidsLimit = z.int().min(64).max(4_194_304);

/** Index (`0`), UUID (`GPU-…`), or a MIG slice (`MIG-…`). */
export const deviceId = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^(GPU|MIG)-[0-9A-Za-z-]+$/, "Write an index, a GPU's UUID (GPU-…) or a MIG slice's (MIG-…)."),
]);

export const absolutePath = z
  .string()
  .regex(
    /^\/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$/,
    "Write an absolute path without spaces, for example /srv/gpubox.",
  );

/** Public name of a model, as clients write it. */
export const modelName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:/@+[\]-]{0,127}$/,
    "A model's name is letters, digits and . _ : / - @ + [ ], at most 128 characters.",
  );

/** Name of an entry that opens every model whose name begins like it. */
const manyName = z.string().regex(/^([A-Za-z0-9][A-Za-z0-9._:/@+[\]-]{0,126})?\*$/);

/** Name of an entry, or of what a key may use. */
export const entryName = z.union([modelName, manyName], {
  error:
    "A model's name is letters, digits and . _ : / - @ + [ ], at most 128 characters; one * at its end opens every name that begins so.",
});

/** Name of a Docker network that containers know each other on. */
export const networkName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, "Write a network's name, as `docker network ls` shows it.")
  .refine(
    (name) => !["bridge", "host", "none"].includes(name),
    "Docker's own networks know no names. Make one, `docker network create NAME`, and put both sides on it.",
  );

/** Name or IPv4 address of a host, as clients write it. */
export const hostName = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "Write a host name without scheme or port.");

/** A period as LiteLLM writes it. */
export const period = z
  .string()
  .regex(/^[1-9]\d{0,3}(s|m|h|d|w|mo)$/, "Write a number and s, m, h, d, w or mo, for example 30d or 1mo.");

/** Name of a stack of the same project. */
export const stackName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    "Write the name of a stack of this project: what stands in Pulumi.<stack>.yaml.",
  );
