import { z } from "zod";
import { memoryMiB, secretRef } from "./shared";

const mode = z.enum(["bundled", "external", "none"]).default("bundled");

/** Kinds of calls whose answers can be cached, with LiteLLM's names for each. */
export const CACHED_CALLS = {
  chat: ["completion", "acompletion"],
  completion: ["text_completion", "atext_completion"],
  messages: ["anthropic_messages", "aanthropic_messages"],
  responses: ["responses", "aresponses"],
  embedding: ["embedding", "aembedding"],
  rerank: ["rerank", "arerank"],
  transcription: ["transcription", "atranscription"],
} as const;

const callNames = Object.keys(CACHED_CALLS) as (keyof typeof CACHED_CALLS)[];

/** Redis. */
export const cacheSchema = z.strictObject({
  mode: mode.describe(
    "`bundled`: Redis on this host. `external`: one that runs elsewhere. `none`: no Redis.",
  ),
  url: secretRef
    .optional()
    .describe(
      "External only: the secret that holds redis://user:password@host:6379/0, or rediss:// with TLS.",
    ),
  ttlSeconds: z
    .int()
    .min(1)
    .optional()
    .describe(
      "Cache answers for that many seconds. Unset: Redis holds router state only, no answer is cached. Keep it unset for evals.",
    ),
  type: z
    .enum(["redis", "local"])
    .default("redis")
    .describe("Where answers are: `redis`, for all gateways, or `local`, in each gateway's memory."),
  namespace: z
    .string()
    .regex(/^[A-Za-z0-9_.-]+$/, "A namespace is letters, digits and _ . -")
    .default("gpubox")
    .describe("Prefix of the answers' keys in Redis, where others use it too."),
  scope: z
    .enum(["key", "team", "all"])
    .default("key")
    .describe("Who shares answers: the requests of one `key`, of one `team`, or `all`. Models never do."),
  calls: z
    .array(z.enum(callNames))
    .min(1)
    .optional()
    .describe("Whose answers are cached. Default: every kind that is named here."),
  optIn: z
    .boolean()
    .default(false)
    .describe("Only requests that say `cache: { use-cache: true }` are cached."),
  memoryMiB: memoryMiB.default(256).describe("Memory limit of the bundled Redis in MiB."),
});

/** Postgres. */
export const databaseSchema = z.strictObject({
  mode: mode.describe(
    "`bundled`: Postgres on this host. `external`: one that runs elsewhere. `none`: no keys, no spend.",
  ),
  url: secretRef
    .optional()
    .describe("External only: the secret that holds postgresql://user:password@host/db."),
  tls: z
    .strictObject({
      authority: secretRef
        .optional()
        .describe(
          "The certificates that signed the server's. Without `sslmode` in the URL, the server is checked in full.",
        ),
      certificate: secretRef.optional().describe("The client's certificate, where the server asks for one."),
      key: secretRef.optional().describe("Its private key, without a passphrase."),
    })
    .optional()
    .describe(
      "External only: secrets that hold PEM text. Gateways get them as files, and their paths in the URL.",
    ),
  spendLogs: z
    .strictObject({
      keepDays: z
        .int()
        .min(1)
        .max(3650)
        .default(30)
        .describe("Days that the log of single requests is kept. Sums by day, key and model stay."),
    })
    .prefault({})
    .describe("One row a request, without its text; it is what grows."),
  memoryMiB: memoryMiB.default(1024).describe("Memory limit of the bundled Postgres in MiB."),
});

export type CacheConfig = z.infer<typeof cacheSchema>;
export type DatabaseConfig = z.infer<typeof databaseSchema>;
