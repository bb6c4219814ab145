import { z } from "zod";
import { hostName, memoryMiB, port, seconds } from "./shared";
import { adminSchema, tlsSchema } from "./tls";

const settings = z.record(z.string(), z.unknown());

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
    .array(hostName)
    .default([])
    .describe(
      "Host names that clients may use, besides localhost and `bind`: framework, box.tailnet.ts.net.",
    ),
  auth: z
    .enum(["key", "none"])
    .default("key")
    .describe("`none`: clients on this host need no key, the edge adds it. Only with a loopback `bind`."),
  tls: tlsSchema.optional(),
  admin: adminSchema.optional(),
  replicas: z.int().min(1).max(8).default(1).describe("Gateway containers a generation."),
  drainTimeout: seconds
    .default(900)
    .describe("Seconds that an old gateway may take to finish the requests that it has."),
  memoryMiB: memoryMiB.default(4096).describe("Memory limit of a gateway container in MiB."),
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
