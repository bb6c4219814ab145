import { readdirSync } from "node:fs";
import { UserError } from "../../platform/process";
import { findProject } from "../../platform/project";
import { jobContainers, memoryOf } from "./containers";
import { type JobRecord, type JobState, jobState } from "./record";
import { artifactsFolder, readJobRecord, readRecords } from "./recordFiles";
import { readJobStack } from "./stack";
import type { JobsOptions } from "./stop";

/** A job as `job list` shows it. */
export interface ListedJob {
  job: string;
  state: JobState;
  /** Absent when its record is gone. */
  record?: JobRecord;
  folder: string;
  memoryMiB?: number;
}

/** The jobs of a stack: those with a container, wherever their folders are, and those with a record in `artifacts`. */
export async function listJobs(options: JobsOptions = {}): Promise<ListedJob[]> {
  const { stack = "dev", projectDir = findProject() } = options;
  const { docker } = readJobStack(projectDir, stack).config.host;
  const containers = await jobContainers(docker, stack);
  const live = await Promise.all(
    containers.map(async ({ id, job, folder, status }) => {
      const record = readJobRecord(folder);
      return { job, state: jobState(status, record), record, folder, memoryMiB: await memoryOf(docker, id) };
    }),
  );
  const others = readRecords(artifactsFolder(projectDir, options.artifacts))
    .filter((record) => record.stack === stack && !containers.some(({ job }) => job === record.job))
    .map((record) => ({
      job: record.job,
      state: jobState(undefined, record),
      record,
      folder: record.folder,
    }));
  return [...live, ...others].sort((a, b) => (a.job < b.job ? -1 : 1));
}

/** @throws UserError when there is no such job */
export async function showJob(job: string, options: JobsOptions = {}): Promise<ListedJob> {
  const found = (await listJobs(options)).find((one) => one.job === job);
  if (found) return found;
  throw new UserError(
    `The stack ${options.stack ?? "dev"} has no job "${job}".`,
    "`gpubox job list` shows its jobs.",
  );
}

/** Ids of job containers whose record says that they should exist. */
export async function recordedJobs(docker: string, stack: string): Promise<Set<string>> {
  const containers = await jobContainers(docker, stack);
  const meant = containers.filter(({ folder }) => {
    // Another user's folder may be unreadable. Then nobody can say that it has no record.
    if (!isReadable(folder)) return true;
    const record = readJobRecord(folder);
    return record !== undefined && !record.stoppedAt;
  });
  return new Set(meant.map(({ id }) => id));
}

/** Names of jobs that have a container. */
export async function livingJobs(docker: string, stack: string): Promise<string[]> {
  return (await jobContainers(docker, stack)).map(({ job }) => job);
}

function isReadable(folder: string): boolean {
  try {
    readdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "EACCES";
  }
}
