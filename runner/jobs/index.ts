/** Jobs for harnesses: docs/jobs.md. */
export type { JobRecord, JobState } from "../../configs/jobs/record";
export type { JobInput } from "../../configs/schema/jobs";
export { type ListedJob, listJobs, showJob } from "./list";
export { readJobKey } from "./records";
export { type StartedJob, type StartOptions, startJob } from "./start";
export { type JobsOptions, pruneJobs, stopJob } from "./stop";
