/** Jobs for harnesses: docs/jobs.md. */

export type { JobInput } from "../../configs/schema/jobs";
export type { StartOptions } from "./declared";
export { type JobFiles, renderJob } from "./files";
export { type ListedJob, listJobs, showJob } from "./list";
export type { JobRecord, JobState } from "./record";
export { readJobKey } from "./recordFiles";
export { type StartedJob, startJob } from "./start";
export { type JobsOptions, pruneJobs, stopJob } from "./stop";
