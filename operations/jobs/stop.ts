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
  /** Parent of the jobs' folders. Default: artifacts/litellm of the project. */
  artifacts?: string;
  log?: Log;
}

/**
 * Stops a job's gateway after it has answered its requests and written its log, and removes its container. It touches
 * no other container: the job's labels find it, and it has to be the one in the record.
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
      `The stack ${stack} has no running job "${job}".`,
      `\`gpubox job list --stack ${stack}\` shows the running jobs.`,
    );
  await removeEdge(docker, stack, job);
  if (record.stoppedAt !== null) log(`${job} is stopped already`);
  else log(`the container of ${job} is gone`);
  return record.stoppedAt === null ? endRecord(record) : record;
}

/**
 * Ends the jobs of a stack whose declared lifetime is over, and leaves the others.
 *
 * @throws UserError that names the jobs that could not be ended, after ending the others
 */
export async function pruneJobs(options: JobsOptions = {}): Promise<string[]> {
  const { stack = "dev", projectDir = findProject(), log = () => {} } = options;
  const { docker } = readJobStack(projectDir, stack).config.host;
  const now = new Date();
  const expired = (await jobContainers(docker, stack)).filter(({ expiresAt }) => isExpired(expiresAt, now));
  // All at once, so that a job that waits for a long answer, or fails, delays no other.
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
      "Correct that, then run `gpubox job prune` again.",
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
  log(`${job} finishes its requests`);
  // The edge first: it refuses new requests and ends after the last answer. Docker waits for the container's own stop
  // timeout.
  const engine = dockerAt(docker);
  for (const edge of await jobEdges(docker, stack, job)) {
    await unlessGone(engine, ["stop", ...(await grace(engine, edge)), edge]);
    await unlessGone(engine, ["rm", edge]);
  }
  await unlessGone(engine, ["stop", ...(await grace(engine, id)), id]);
  await unlessGone(engine, ["rm", id]);
  log(`${job} is stopped; \`gpubox trajectory check ${folder}/log --stack ${stack}\` proves its log`);
  // Somebody may have restarted the job meanwhile.
  return record && readJobRecord(folder)?.container === record.container ? endRecord(record) : record;
}

/** Stops or removes a container. Somebody else may have done that at the same time. */
async function unlessGone(docker: DockerClient, args: string[]): Promise<void> {
  const { code, stderr } = await docker.run(args);
  if (code !== 0 && !/No such container|already in progress/.test(stderr))
    throw new UserError(`Docker said: ${stderr.trim().split("\n").at(-1)}.`, "Look at the container.");
}

function wordsOf(error: unknown): string {
  return error instanceof UserError ? error.what : String(error);
}

/** Engines before version 23 use the client's 10 s instead of the container's own timeout. */
async function grace(docker: DockerClient, id: string): Promise<string[]> {
  const { stdout } = await docker.run(["inspect", "--format", "{{.Config.StopTimeout}}", id]);
  return /^\d+$/.test(stdout.trim()) ? ["--time", stdout.trim()] : [];
}
