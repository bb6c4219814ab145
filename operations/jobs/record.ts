import { z } from "zod";
import { jobName, jobProtocols } from "../../configs/schema/jobs";

/** The content of job.json in a job's folder. It holds no secret. */
export const recordSchema = z.strictObject({
  schema: z.literal(1),
  job: jobName,
  stack: z.string(),
  /** The job's name in the stack config; null when a harness declared it. */
  definition: z.string().nullable(),
  /** The container started for it. */
  container: z.string(),
  containerName: z.string(),
  image: z.string(),
  folder: z.string(),
  /** Base URL for clients, without /v1. */
  endpoint: z.string(),
  model: z.string(),
  protocols: z.array(z.enum(jobProtocols)),
  upstream: z.string(),
  startedAt: z.iso.datetime(),
  /** When `job prune` ends it; null: never. */
  expiresAt: z.iso.datetime().nullable(),
  /** When it was stopped; null while it runs. */
  stoppedAt: z.iso.datetime().nullable(),
});

export type JobRecord = z.infer<typeof recordSchema>;

/** Labels that identify a job's container. Its name never does. */
export const JOB_LABEL = "gpubox.job";
export const FOLDER_LABEL = "gpubox.job.folder";
export const EXPIRES_LABEL = "gpubox.job.expires";
/** Label of a job's edge, which starts and ends with the gateway. */
export const EDGE_LABEL = "gpubox.job.edge";

/** True once a job has run for its declared lifetime. */
export function isExpired(expiresAt: string | null, now: Date): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now.getTime();
}

/** When a job that starts now expires; null without a declared lifetime. */
export function expiry(started: Date, lifetimeSeconds: number | undefined): string | null {
  return lifetimeSeconds === undefined
    ? null
    : new Date(started.getTime() + lifetimeSeconds * 1000).toISOString();
}

/** Combines `docker ps` and the record. `lost`: the record says that it runs, but its container is gone. */
export type JobState = "running" | "stopped" | "lost" | "ailing";

/** @param status Docker's word for the container's state; undefined without a container */
export function jobState(status: string | undefined, record: JobRecord | undefined): JobState {
  if (status === "running") return "running";
  if (status !== undefined) return "ailing";
  return record?.stoppedAt ? "stopped" : "lost";
}
