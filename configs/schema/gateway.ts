import { z } from "zod";
import { memoryMiB, port, seconds } from "./shared";

const settings = z.record(z.string(), z.unknown());

/** How a trajectory log is kept; docs/trajectory.md. */
export const trajectoriesSchema = z.strictObject({
  onLogFailure: z
    .enum(["continue", "refuse"])
    .default("continue")
    .describe("While the log cannot be written: requests go on, the gap is recorded; or they are refused."),
  rotateMiB: z
    .int()
    .min(1)
    .max(65_536)
    .default(256)
    .describe("Size in MiB after which a file is closed and the next one begun."),
  compress: z.enum(["none", "zstd"]).default("none").describe("Of closed files."),
  group: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe("Numeric group of the host that may read the log. Default: root only."),
});

export type TrajectoriesConfig = z.infer<typeof trajectoriesSchema>;

export const gatewaySchema = z.strictObject({
  port: port.default(4000).describe("Port for clients, owned by the edge."),
  bind: z
    .union([z.ipv4(), z.ipv6()])
    .default("127.0.0.1")
    .describe("Host address of that port: loopback, or the LAN's or tailnet's address of this host."),
  adminPort: port
    .optional()
    .describe("Loopback port for LiteLLM's UI and admin routes. Default: the port after `port`."),
  hosts: z
    .array(
      z
        .string()
        .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, "Write a host name without scheme or port."),
    )
    .default([])
    .describe(
      "Host names that clients may use, besides localhost and `bind`: framework, box.tailnet.ts.net.",
    ),
  auth: z
    .enum(["key", "none"])
    .default("key")
    .describe("`none`: clients on this host need no key, the edge adds it. Only with a loopback `bind`."),
  replicas: z.int().min(1).max(8).default(1).describe("Gateway containers a generation."),
  drainTimeout: seconds
    .default(900)
    .describe("Seconds that an old gateway may take to finish the requests that it has."),
  memoryMiB: memoryMiB.default(4096).describe("Memory limit of a gateway container in MiB."),
  trajectories: z
    .union([z.boolean(), trajectoriesSchema])
    .default(false)
    .describe("Log every request and answer of models: docs/trajectory.md. true: with the defaults."),
  settings: z
    .strictObject({
      litellm: settings.default({}).describe("litellm_settings"),
      router: settings.default({}).describe("router_settings"),
      general: settings.default({}).describe("general_settings"),
    })
    .prefault({})
    .describe("LiteLLM's own settings, passed through."),
});

export type GatewayConfig = z.infer<typeof gatewaySchema>;
