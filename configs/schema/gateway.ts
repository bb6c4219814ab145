import { z } from "zod";
import { guardrailsSchema } from "./guardrails";
import { limitsSchema } from "./limits";
import { modulesSchema } from "./modules";
import { passThroughSchema } from "./passThrough";
import { routingSchema } from "./routing";
import { hostName, memoryMiB, networkName, pidsLimit, port, portBind, seconds, secretRef } from "./shared";
import { adminSchema, tlsSchema } from "./tls";

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

/** Gateways of a generation. With more, each had fewer than five of Postgres' connections while two generations run. */
export const MOST_REPLICAS = 8;

export const gatewaySchema = z.strictObject({
  port: port.default(4000).describe("Port for clients, owned by the edge."),
  bind: portBind,
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
  joinNetworks: z
    .strictObject({
      upstreams: z
        .array(networkName)
        .default([])
        .describe("The gateways join them, to reach servers in containers of others by name."),
      clients: z
        .array(networkName)
        .default([])
        .describe("The edge joins them, and containers of others reach it as gpubox-<stack>-edge:4000."),
    })
    .prefault({})
    .describe("Docker networks of others, which have to exist. gpubox neither makes nor removes them."),
  replicas: z
    .union([z.int().min(1).max(MOST_REPLICAS), z.literal("auto")])
    .default(1)
    .describe(
      "Gateway containers a generation. auto: one for each two cores of the host, as its memory and the config's limits allow.",
    ),
  drainTimeout: seconds
    .default(900)
    .describe("Seconds that an old gateway may take to finish the requests that it has."),
  memoryMiB: memoryMiB.default(4096).describe("Memory limit of a gateway container in MiB."),
  pidsLimit: pidsLimit
    .optional()
    .describe("Processes and threads that a gateway container may have at most. Default: 2048."),
  routing: routingSchema
    .prefault({})
    .describe("How a request finds its server, and what happens when that fails."),
  limits: limitsSchema.prefault({}).describe("What clients may take, all models together."),
  dropParams: z
    .boolean()
    .default(true)
    .describe(
      "Parameters that a model, or no API and no engine, knows are left out. false: they are refused.",
    ),
  allowParameters: z
    .array(
      z
        .string()
        .regex(
          /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/,
          "A parameter's name is letters, digits and _ . -, at most 64.",
        ),
    )
    .default([])
    .describe(
      "More parameters that bodies may have: what a server takes and gpubox does not know. Never what steers LiteLLM itself.",
    ),
  logs: z
    .strictObject({
      json: z.boolean().default(true).describe("One JSON object a line."),
      level: z
        .enum(["ERROR", "WARNING", "INFO", "DEBUG"])
        .default("ERROR")
        .describe("What a gateway writes. DEBUG writes prompts and answers too."),
    })
    .prefault({})
    .describe("What the gateways log."),
  env: z
    .record(
      z.string().regex(/^[A-Z][A-Z0-9_]*$/, "A variable's name is upper case letters, digits and _."),
      z.union([z.string(), secretRef], {
        error: "Write a text, or { secret: <name of a secret> } for a key or password.",
      }),
    )
    .default({})
    .describe("More environment variables of the gateways: what callbacks and providers read."),
  modules: modulesSchema,
  guardrails: guardrailsSchema,
  passThrough: passThroughSchema,
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
    .describe(
      "Every other setting of LiteLLM, under its own name; checked against what the pinned version reads.",
    ),
});

export type GatewayConfig = z.infer<typeof gatewaySchema>;
