import { z } from "zod";
import { modelName, requestSeconds } from "./shared";

const targets = z
  .record(modelName, z.array(modelName).min(1))
  .default({})
  .describe(
    "Model to the models that are asked in its place, in this order. Default: none, the error is the answer.",
  );

/** A week, in seconds: Redis holds each conversation as long, and no engine's prefix cache lasts longer under load. */
const AFFINITY_LIMIT = 604_800;

/** How a request finds its server, and what happens when that fails. */
export const routingSchema = z.strictObject({
  strategy: z
    .enum([
      "simple-shuffle",
      "least-busy",
      "latency-based-routing",
      "cost-based-routing",
      "usage-based-routing-v2",
    ])
    .default("simple-shuffle")
    .describe(
      "How one of a model's instances is chosen. `simple-shuffle` goes by weight, rpm or tpm; `least-busy` by running requests.",
    ),
  retries: z
    .int()
    .min(0)
    .max(10)
    .optional()
    .describe(
      "Tries after a failure, for servers that the box does not run. Default: LiteLLM's 2. 0: clients learn of it at once.",
    ),
  timeoutSeconds: requestSeconds
    .default(600)
    .describe("Seconds that a request may take, for models that say nothing else."),
  streamTimeoutSeconds: requestSeconds
    .optional()
    .describe("Seconds of silence after which a stream has failed. Default: the request's own."),
  cooldownSeconds: z
    .int()
    .min(0)
    .optional()
    .describe(
      "Seconds that a failed instance gets no requests. Default: LiteLLM's 5. 0: it always gets them.",
    ),
  allowedFails: z
    .int()
    .min(0)
    .optional()
    .describe("Failures in a minute until an instance cools down. Default: more than half of its requests."),
  affinitySeconds: z
    .int()
    .min(0)
    .max(AFFINITY_LIMIT)
    .default(3600)
    .describe(
      "Seconds after its last request for which a conversation stays with the instance that has its beginning in the prefix cache. 0: every request goes where `strategy` says.",
    ),
  fallbacks: targets,
  contextWindowFallbacks: targets.describe(
    "Model to the models that get what is too long for it. Default: none.",
  ),
  contentPolicyFallbacks: targets.describe(
    "Model to the models that get what its provider refused for its content. Default: none.",
  ),
  preCallChecks: z
    .boolean()
    .default(false)
    .describe("Instances whose context is too small for a prompt are not asked, where the context is known."),
  tagFiltering: z
    .boolean()
    .default(false)
    .describe("A request with tags goes to instances that have one of them."),
});

/** The three kinds of fallback, as the config and as LiteLLM names them. */
export const FALLBACKS = {
  fallbacks: "fallbacks",
  contextWindowFallbacks: "context_window_fallbacks",
  contentPolicyFallbacks: "content_policy_fallbacks",
} as const;

export type RoutingConfig = z.infer<typeof routingSchema>;
