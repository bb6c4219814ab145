import { z } from "zod";
import { trajectoriesSchema } from "./gateway";
import { tokenPrice } from "./limits";
import { memoryMiB, modelName, port, requestSeconds, seconds, secretRef } from "./shared";

/** A job's name is a folder, a part of a container's name, and a label. */
export const jobName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    "A job's name is letters, digits and . _ -, at most 63 characters, and begins with a letter or digit.",
  );

/** Harbor names a server of a model MODEL@SERVER. */
const serverName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/, "An alias is letters, digits and . _ : / @ -.");

/** A key that stands in for none: whoever checks it does so by other means than the key. */
export const dummyKey = z
  .string()
  .regex(
    /^dummy-[A-Za-z0-9._-]+$/,
    "Put a real key into a secret and write { secret: <its name> }; only dummy-… may stand here.",
  );

const key = z.union([secretRef, dummyKey], {
  error: "Write { secret: <name of a secret> }, or a word that begins with dummy-.",
});

const upstreamKey = z.union([secretRef, dummyKey, z.literal("none")], {
  error: "Write { secret: <name of a secret> }, a word that begins with dummy-, or none.",
});

const ofBox = z.strictObject({
  box: modelName.describe("A model of this box by its public name: the job goes through its valve."),
});

const ofServer = z.strictObject({
  baseUrl: z
    .url({ protocol: /^https?$/, error: "Write a whole http or https URL, up to and with /v1." })
    .describe(
      "Base URL of a server that speaks OpenAI's protocol, up to and with /v1. It must be reachable from a container.",
    ),
  model: z
    .string()
    .min(1)
    .describe("The name that the server knows the model by, for vLLM its --served-model-name."),
  apiKey: upstreamKey
    .default("none")
    .describe("What the server asks for, for vLLM its --api-key. dummy-… is sent as it stands."),
  messages: z
    .enum(["translated", "native"])
    .default("translated")
    .describe("/v1/messages: `native` where the server has that route itself."),
});

export const jobProtocols = ["openai_compatible", "anthropic_compatible"] as const;

export const jobSchema = z.strictObject({
  upstream: z
    .union([ofBox, ofServer], {
      error: "Write { box: <a model of this box> }, or { baseUrl: …/v1, model: <its name>, apiKey: … }.",
    })
    .describe("What answers: a model of this box, or any server with its URL, served name and key."),
  model: modelName
    .optional()
    .describe("The name that clients ask for. Default: the upstream's own name of the model."),
  aliases: z.array(modelName).default([]).describe("Other names that clients may use."),
  port: port.describe("Loopback port of the job's gateway, of its own."),
  key: key
    .optional()
    .describe("What clients send. Default: one is made at each start; it lies in the job's litellm.env."),
  protocols: z
    .array(z.enum(jobProtocols))
    .min(1)
    .default([...jobProtocols])
    .describe("What clients speak: the upstream is tried on each before the start."),
  price: tokenPrice
    .optional()
    .describe("What a token costs, for `cost` in the log. Default: the model's own price, else nothing."),
  stickyRoutingAliases: z
    .array(serverName)
    .default([])
    .describe(
      "Names that each lead to one server of the model, in turn. With any, a session stays with one server. LITELLM_STICKY_ROUTING_ALIASES is always set: empty, or MODEL=alias,alias.",
    ),
  retries: z
    .int()
    .min(0)
    .max(10)
    .default(0)
    .describe("How often a failed call of a remote server is tried again. 0: one attempt a request."),
  timeoutSeconds: requestSeconds.default(900).describe("Seconds after which a call is given up."),
  drainTimeout: seconds.default(900).describe("Seconds that `job stop` waits for what is being answered."),
  lifetimeSeconds: z
    .int()
    .min(1)
    .optional()
    .describe("Seconds after its start when `job prune` ends it. Default: it is never ended so."),
  extra: z
    .record(
      z.string().regex(/^[A-Z][A-Z0-9_]*$/, "A variable's name is upper case letters, digits and _."),
      z.union([z.string(), secretRef], { error: "Write a text, or { secret: <name of a secret> }." }),
    )
    .default({})
    .describe("More environment variables of the job's gateway."),
  configTemplate: z
    .string()
    .min(1)
    .optional()
    .describe(
      "YAML file, beside the stack's file, with more of LiteLLM's config. What the job needs is put over it.",
    ),
  trajectories: trajectoriesSchema
    .omit({ group: true })
    .extend({ onLogFailure: trajectoriesSchema.shape.onLogFailure.unwrap().default("refuse") })
    .prefault({})
    .describe("How the log is kept: docs/trajectory.md. By default a job refuses calls that it cannot log."),
  probe: z
    .boolean()
    .default(true)
    .describe("Before anything starts the upstream has to answer one short call. false: only to be there."),
  cores: z.number().positive().max(64).default(1).describe("CPU cores that the gateway may use."),
  memoryMiB: memoryMiB.default(1024).describe("Memory limit of the gateway in MiB."),
});

export type JobConfig = z.infer<typeof jobSchema>;

/** A job as people write it. */
export type JobInput = z.input<typeof jobSchema>;

export const jobsSchema = z
  .record(jobName, jobSchema)
  .describe("Gateways of their own for eval jobs: `gpubox job start NAME`. docs/jobs.md.");

export type JobsConfig = z.infer<typeof jobsSchema>;
