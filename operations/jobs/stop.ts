import { existsSync } from "node:fs";
import { type DockerClient, dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import { findProject, type Log } from "../../platform/project";
import { type JobContainer, jobContainers, jobEdges, removeEdge } from "./containers";
import { isExpired, type JobRecord } from "./record";
import { artifactsFolder, endRecord, jobFolder, readJobRecord, readRecords } from "./recordFiles";
import { readJobStack } from "./stack";

export interface JobsOptions {
  /** Default: dev. */
  stack?: string;
  projectDir?: string;
  /** Folder with the jobs' folders. Default: artifacts/litellm of the project. */
  artifacts?: string;
  log?: Log;
}

/**
 * Stops a job's gateway once it has answered what it has and its log is on the disk, and removes its container. No other
 * container is touched: it is found by the job's labels, and has to be the one of the record.
 *
 * @throws UserError when there is no such job, or when its record names another container
 */
export async function stopJob(job: string, options: JobsOptions = {}): Promise<JobRecord | undefined> {
  const { stack = "dev", projectDir = findProject(), log = () => {} } = options;
  const { docker } = readJobStack(projectDir, stack).config.host;
  const [container] = await jobContainers(docker, stack, job);
  if (container) return end(docker, stack, container, log);
  const record = readJobRecord(jobFolder(artifactsFolder(projectDir, options.artifacts), job));
  if (!record || record.stack !== stack)
    throw new UserError(
      `The stack ${stack} has no job "${job}" that runs.`,
      `\`gpubox job list --stack ${stack}\` shows those that do.`,
    );
  await removeEdge(docker, stack, job);
  if (record.stoppedAt !== null) log(`${job} is stopped already`);
  else log(`the container of ${job} is gone`);
  return record.stoppedAt === null ? endRecord(record) : record;
}

/**
 * Ends the jobs of a stack that have lived as long as they were declared to. Others are left as they are.
 *
 * @throws UserError that names those which could not be ended, once the others are
 */
export async function pruneJobs(options: JobsOptions = {}): Promise<string[]> {
  const { stack = "dev", projectDir = findProject(), log = () => {} } = options;
  const { docker } = readJobStack(projectDir, stack).config.host;
  const now = new Date();
  const expired = (await jobContainers(docker, stack)).filter(({ expiresAt }) => isExpired(expiresAt, now));
  // At once: one that waits for a long answer, or fails, holds up no other.
  const ends = await Promise.allSettled(expired.map((container) => end(docker, stack, container, log)));
  for (const record of readRecords(artifactsFolder(projectDir, options.artifacts)))
    if (record.stack === stack && record.stoppedAt === null && isExpired(record.expiresAt, now))
      endRecord(record);
  const failed = ends.flatMap((one, index) =>
    one.status === "rejected" ? [`${expired[index]!.job} (${wordsOf(one.reason)})`] : [],
  );
  if (failed.length > 0)
    throw new UserError(
      `Not every expired job could be ended: ${failed.join("; ")}.`,
      "Put that right, and run `gpubox job prune` again.",
    );
  return expired.map(({ job }) => job);
}

async function end(
  docker: string,
  stack: string,
  container: JobContainer,
  log: Log,
): Promise<JobRecord | undefined> {
  const { job, folder, id } = container;
  const record = existsSync(folder) ? readJobRecord(folder) : undefined;
  if (record && record.stoppedAt === null && record.container !== id)
    throw new UserError(
      `${folder}/job.json names another container than the one labelled as the job ${job}.`,
      `Look at both: docker inspect ${id.slice(0, 12)} ${record.container.slice(0, 12)}.`,
    );
  log(`${job} finishes what it has`);
  // The edge first: it closes the door, and ends once what went through it is answered. Docker waits as long as the container
  // was made to be waited for.
  const engine = dockerAt(docker);
  for (const edge of await jobEdges(docker, stack, job)) {
    await unlessGone(engine, ["stop", ...(await grace(engine, edge)), edge]);
    await unlessGone(engine, ["rm", edge]);
  }
  await unlessGone(engine, ["stop", ...(await grace(engine, id)), id]);
  await unlessGone(engine, ["rm", id]);
  log(`${job} is stopped; \`gpubox trajectory check ${folder}/log --stack ${stack}\` proves its log`);
  // The job may have been started anew meanwhile.
  return record && readJobRecord(folder)?.container === record.container ? endRecord(record) : record;
}

/** Stops or removes a container. Accepts that somebody else has done it at the same time. */
async function unlessGone(docker: DockerClient, args: string[]): Promise<void> {
  const { code, stderr } = await docker.run(args);
  if (code !== 0 && !/No such container|already in progress/.test(stderr))
    throw new UserError(`Docker said: ${stderr.trim().split("\n").at(-1)}.`, "Look at the container.");
}

function wordsOf(error: unknown): string {
  return error instanceof UserError ? error.what : String(error);
}

/** Engines before version 23 take the client's 10 s instead of the container's own time. */
async function grace(docker: DockerClient, id: string): Promise<string[]> {
  const { stdout } = await docker.run(["inspect", "--format", "{{.Config.StopTimeout}}", id]);
  return /^\d+$/.test(stdout.trim()) ? ["--time", stdout.trim()] : [];
}
