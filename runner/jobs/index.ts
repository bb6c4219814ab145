/** Jobs for harnesses: docs/jobs.md. */
export type { JobRecord, JobState } from "../../configs/jobs/record";
export type { JobInput } from "../../configs/schema/jobs";
export type { StartOptions } from "./declared";
export { type JobFiles, renderJob } from "./files";
export { type ListedJob, listJobs, showJob } from "./list";
export { readJobKey } from "./records";
export { type StartedJob, startJob } from "./start";
export { type JobsOptions, pruneJobs, stopJob } from "./stop";
