import { z } from "zod";
import { jobName, jobProtocols } from "../../configs/schema/jobs";

/** What lies in a job's folder as job.json. It holds no secret. */
export const recordSchema = z.strictObject({
  schema: z.literal(1),
  job: jobName,
  stack: z.string(),
  /** The job of the stack config that it was started from, or null for one that a harness declared. */
  definition: z.string().nullable(),
  /** The container that was started for it. */
  container: z.string(),
  containerName: z.string(),
  image: z.string(),
  folder: z.string(),
  /** What clients use, without /v1. */
  endpoint: z.string(),
  model: z.string(),
  protocols: z.array(z.enum(jobProtocols)),
  upstream: z.string(),
  startedAt: z.iso.datetime(),
  /** When `job prune` ends it; null: never. */
  expiresAt: z.iso.datetime().nullable(),
  /** Set by the stop; null while it lives. */
  stoppedAt: z.iso.datetime().nullable(),
});

export type JobRecord = z.infer<typeof recordSchema>;

/** Labels by which a job's container is found; never by its name. */
export const JOB_LABEL = "gpubox.job";
export const FOLDER_LABEL = "gpubox.job.folder";
export const EXPIRES_LABEL = "gpubox.job.expires";
/** On a job's edge, which comes and goes with the gateway. */
export const EDGE_LABEL = "gpubox.job.edge";

/** True once a job has lived as long as it was declared to. */
export function isExpired(expiresAt: string | null, now: Date): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now.getTime();
}

/** When a job that starts now ends; null where nothing is declared. */
export function expiry(started: Date, lifetimeSeconds: number | undefined): string | null {
  return lifetimeSeconds === undefined
    ? null
    : new Date(started.getTime() + lifetimeSeconds * 1000).toISOString();
}

/** What `docker ps` and the record say together. `lost`: the record lives and its container is gone. */
export type JobState = "running" | "stopped" | "lost" | "ailing";

/** @param status Docker's word for the container's state; undefined where there is none */
export function jobState(status: string | undefined, record: JobRecord | undefined): JobState {
  if (status === "running") return "running";
  if (status !== undefined) return "ailing";
  return record?.stoppedAt ? "stopped" : "lost";
}
