import { z } from "zod";
import { canarySchema } from "./canary";
import { modelGpu } from "./gpuUse";
import { modelKubernetes } from "./kubernetes";
import { budget, tokenPrice } from "./limits";
import { ownContainer } from "./ownContainer";
import { keyRef, memoryMiB, modelName, pidsLimit, port, requestSeconds, secretRef } from "./shared";

/** What one server of a model may be asked, each with its own count. */
const limits = {
  rpm: z
    .int()
    .min(1)
    .optional()
    .describe("Requests a minute of each of its servers; the next one is answered 429."),
  tpm: z
    .int()
    .min(1)
    .optional()
    .describe("Tokens a minute of each of its servers; once they are used up, requests are answered 429."),
  maxParallel: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe("Requests at the same time on each of its servers; the next one is answered 429."),
  budget: budget.optional().describe("Money for each of its servers, by the prices that are known of it."),
  tags: z
    .array(z.string().regex(/^[^\s,]+$/, "A tag is one word."))
    .optional()
    .describe("Tags of its servers, for spend and for gateway.routing.tagFiltering."),
};

/** What LiteLLM reads of a deployment under its own names; the maps of an instance go over those of the entry, key by key. */
const maps = {
  params: z
    .record(z.string(), z.unknown())
    .optional()
    .describe(
      "More of litellm_params, under LiteLLM's names: temperature, max_tokens, extra_body, extra_headers, …; defaults that a request may override. A value may be { secret: <its name> }.",
    ),
  info: z
    .record(z.string(), z.unknown())
    .optional()
    .describe(
      "More of model_info, under LiteLLM's names: access_groups, cache_read_input_token_cost, max_output_tokens, supports_vision, ….",
    ),
};

/** What a token costs. Servers of different providers behind one name have prices of their own. */
export const costs = {
  price: tokenPrice
    .optional()
    .describe("What a token costs, for spend and budgets. Default: what LiteLLM's price list says."),
  baseModel: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The model of LiteLLM's price list whose price and limits count, where the name says too little.",
    ),
};

/** A share of a model's requests, for entries with several instances. */
const share = {
  name: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, "Write lower-case letters, digits and dashes, at most 32.")
    .optional()
    .describe(
      "What its container is told apart by, `<model>-<name>`. Default: its place in the list, from 1, so that without names the ones after it are renamed, and replaced, when one is taken out.",
    ),
  weight: z.number().positive().optional().describe("Share of the requests against the other instances."),
  order: z.int().min(1).optional().describe("The lowest order is tried first; the others when it fails."),
  ...limits,
  ...maps,
};

const NOT_ON_DEMAND = "Only a server that this box runs is loaded on demand. Write auto or manual.";
/** How a gateway that runs elsewhere reaches a model. */
const elsewhere = z.union(
  [
    z.boolean(),
    z.strictObject({
      baseUrl: z
        .url({ protocol: /^https?$/ })
        .describe("Base URL of the model's server, up to and with /v1."),
      apiKey: keyRef.optional().describe("The secret that holds the server's key. Default: the entry's own."),
    }),
  ],
  { error: "Write false to leave the model out, or { baseUrl: https://…/v1 }." },
);

/** What every model entry has, whatever its engine. */
export const modelBase = {
  aliases: z.array(modelName).default([]).describe("Other names that clients may use for this model."),
  ...limits,
  ...maps,
  start: z
    .enum(["auto", "manual"], { error: ({ input }) => (input === "ondemand" ? NOT_ON_DEMAND : undefined) })
    .default("auto")
    .describe(
      "`manual`: somebody starts the server when it is needed (`gpubox model start NAME`); it may be down, and `up` neither starts, stops nor asks it.",
    ),
  timeoutSeconds: requestSeconds
    .optional()
    .describe(
      "Seconds after which LiteLLM gives up on one request to this model. Default: gateway.routing.timeoutSeconds.",
    ),
  ...costs,
  profiles: z
    .strictObject({
      stateful: elsewhere.default(true).describe("A gateway with a database."),
      stateless: elsewhere.default(true).describe("A gateway without one."),
    })
    .optional()
    .describe(
      "Where gateways differ: `false` leaves the model out, on this box too; a `baseUrl` is how a gateway elsewhere reaches it (`gpubox gateway-config`).",
    ),
};

/** The `instances` of an entry, each with these settings of its own. */
export function instancesOption<Own extends z.ZodRawShape>(own: Own) {
  return z
    .array(z.strictObject({ ...share, ...own }))
    .min(1)
    .optional()
    .describe("Several servers behind one name, each with settings of its own; the rest is the entry's.");
}

/** What the model is asked for. Clients use other routes for each, and `up` proves each by a request of its kind. */
export type Mode =
  | "chat"
  | "completion"
  | "embedding"
  | "rerank"
  | "audio_transcription"
  | "audio_speech"
  | "image_generation"
  | "moderation";

/** What a server of OpenAI's API may be asked for, where nothing else is known of it. */
export const ANY_MODE = [
  ...(["chat", "completion", "embedding", "rerank"] as const),
  ...(["audio_transcription", "audio_speech", "image_generation", "moderation"] as const),
] as const;

/** The `mode` of an entry whose engine serves these. The first is the default. */
export function modeOption<const Modes extends readonly [Mode, ...Mode[]]>(modes: Modes) {
  return z
    .enum(modes)
    .default(modes[0] as never)
    .describe("What it is asked for; clients use other routes for each.");
}

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

const gpu = modelGpu.optional().describe("The GPUs that it runs on. Default: none, it runs on the CPU.");
const exposed = expose
  .optional()
  .describe("A port of its own for clients that go past the gateway: no limits, no spend, no virtual keys.");

/** Name of a slot, or of a group. */
const sharedName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/,
    "A name of a slot or group is lower-case letters, digits and dashes, at most 40 characters.",
  );

/** Seconds without a request until a model that is loaded on demand is unloaded, unless its entry says otherwise. */
export const IDLE_SECONDS = 300;

/** What an entry has whose server can be loaded on demand. `start` takes the place of that of every entry. */
export const onDemand = {
  start: z
    .enum(["auto", "manual", "ondemand"])
    .default("auto")
    .describe(
      "`manual`: somebody starts the server when it is needed (`gpubox model start NAME`); it may be down, and `up` neither starts, stops nor asks it. `ondemand`: a request loads the model, and it is unloaded when nobody asks any more.",
    ),
  group: sharedName
    .optional()
    .describe(
      "With `start: ondemand`: models with the same group share the memory of `gpubox:groups`; as many as fit are loaded, and the least recently used one goes first. Default: a group of its own.",
    ),
  idleSeconds: z
    .int()
    .min(0)
    .optional()
    .describe(
      "With `start: ondemand`: seconds without a request until it is unloaded; 0: it stays until another one wants its memory. Default: 300.",
    ),
  priority: z
    .int()
    .min(-100)
    .max(100)
    .optional()
    .describe(
      "With a group: of those that wait, the model with the highest is loaded first, and none with a lower one ends its turn while it is used. Default: 0.",
    ),
  pinned: z
    .boolean()
    .optional()
    .describe("With a group: it is loaded at once, and no other model takes its memory. Default: false."),
  sleep: z
    .literal([1, 2], {
      error: "Write 1, which keeps its weights in the host's memory, or 2, which reads them again.",
    })
    .optional()
    .describe(
      "With a group, vLLM on GPUs of NVIDIA and AMD: in place of being unloaded it sleeps, and wakes in seconds. 1: the host's memory keeps its weights; 2: nothing does, and they are read again. Default: it is unloaded.",
    ),
  waitSeconds: z
    .int()
    .min(1)
    .max(3600)
    .optional()
    .describe(
      "With a group: seconds that a request waits until the model is loaded; then it is answered 503 with the time that is left. Default: 15 less than timeoutSeconds, at most 600.",
    ),
};

/** What llama.cpp has besides: llama-swap loads its models in one container. */
export const onDemandInSlot = {
  slot: sharedName
    .optional()
    .describe(
      "With `start: ondemand`: of the models with the same slot one is loaded at a time; a request to another takes its place. Default without `group`: a slot of its own.",
    ),
};

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
      .min(1)
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
    replacement: z
      .enum(["start-first", "stop-first"])
      .optional()
      .describe(
        "How a change replaces its server: `start-first` loads the new one beside the old one, `stop-first` leaves a gap. Default: start-first where its devices have room for both, stop-first on the CPU.",
      ),
    canary: canarySchema
      .optional()
      .describe(
        "A change of its server is tried with a share of the requests first, beside the one before: `up` promotes it, or refuses it and the one before serves on. The change is start-first. Default: the new one is proven by a question and takes all.",
      ),
    routes: z
      .array(
        z
          .string()
          .regex(
            /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.~-]+)+\/?$/,
            "Write a path, for example /v1/score or /v1/audio/: letters, digits and _ . ~ - between slashes.",
          ),
      )
      .default([])
      .describe(
        "More paths of its server that its valve passes, for gateway.passThrough and its own port; one that ends in / opens all below it. Default: those of the APIs that gateways use.",
      ),
    extraArgs: z.array(z.string()).default([]).describe("More flags of the engine, one word each."),
    env: z.record(z.string(), z.string()).default({}).describe("Environment of the container. No secrets."),
    ...ownContainer,
    gpu,
    expose: exposed,
    kubernetes: modelKubernetes,
    instances: instancesOption({ gpu, expose: exposed, image: ownContainer.image }),
    ...modelBase,
    ...onDemand,
  };
}

export type ExposeConfig = z.infer<typeof expose>;
