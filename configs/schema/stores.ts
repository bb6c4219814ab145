import { z } from "zod";
import { memoryMiB, secretRef } from "./shared";

const mode = z.enum(["bundled", "external", "none"]).default("bundled");

/** Redis. */
export const cacheSchema = z.strictObject({
  mode: mode.describe(
    "`bundled`: Redis on this host. `external`: one that runs elsewhere. `none`: no Redis.",
  ),
  url: secretRef.optional().describe("External only: the secret that holds redis://:password@host:6379."),
  ttlSeconds: z
    .int()
    .positive()
    .optional()
    .describe(
      "Cache answers for that many seconds. Unset: Redis holds router state only, no answer is cached.",
    ),
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
