import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { checkJob, jobPortClash, takenPorts } from "../../configs/checks/jobs";
import { checkSecretPlaces } from "../../configs/checks/secretPlaces";
import { zodProblems } from "../../configs/checks/zodProblems";
import { type Problem, suggestion } from "../../configs/kit/problems";
import type { PlanContext } from "../../configs/plan/context";
import { type JobConfig, type JobInput, jobName, jobSchema } from "../../configs/schema/jobs";
import { UserError } from "../../platform/process";
import { findProject, type Log } from "../../platform/project";
import { readText } from "../../platform/userFiles";
import { type JobPlan, planJob } from "./plan";
import { artifactsFolder, jobFolder } from "./recordFiles";
import { readJobStack } from "./stack";

export interface StartOptions {
  /** The name of a job in the stack config, or a job of the same shape from the caller. */
  job: string | JobInput;
  /** Name of this run, for its folder, log and labels. Default: the job's name. */
  as?: string;
  /** Loopback port instead of the declared one. */
  port?: number;
  /** Default: dev. */
  stack?: string;
  /** Folder of the project with the stack's file. Default: the working directory. */
  projectDir?: string;
  /** Parent of the job's folder. Default: artifacts/litellm of the project. */
  artifacts?: string;
  log?: Log;
}

/** A planned run of a job, not yet started. */
export interface DeclaredRun {
  stack: string;
  projectDir: string;
  context: PlanContext;
  job: JobConfig;
  /** The name in the stack config; null when the caller declared the job. */
  definition: string | null;
  plan: JobPlan;
}

/**
 * Plans a run.
 *
 * @throws ConfigError for mistakes in the stack's file and in a template; UserError for mistakes of the caller
 */
export function planRun(options: StartOptions): DeclaredRun {
  const { stack = "dev", projectDir = findProject() } = options;
  const context = readJobStack(projectDir, stack);
  const { name, job, definition } = declared(context, options);
  const folder = jobFolder(artifactsFolder(projectDir, options.artifacts), name);
  const path = definition === null ? "job" : `gpubox:jobs.${definition}`;
  const template = templateOf(projectDir, name, job);
  const plan = planJob(context, { name, job, folder, path, template });
  return { stack, projectDir, context, job, definition, plan };
}

/** The job with the command's options applied and checked. */
function declared({ config, secrets }: PlanContext, { job: given, as, port }: StartOptions) {
  // The file's values are checked already, so any mistake here comes from the command or the harness.
  const path = "job";
  const name = as ?? (typeof given === "string" ? given : "");
  const named = jobName.safeParse(name);
  if (!named.success)
    throw new UserError(`"${name}" cannot be a job's name.`, named.error.issues[0]!.message);
  const job = { ...parsed(config, name, given, path), ...(port === undefined ? {} : { port }) };
  const problems = [
    ...checkJob(config, job, path),
    ...jobPortClash(takenPorts(config), job.port, path),
    ...checkSecretPlaces({ ...config, jobs: { ...config.jobs, [name]: job } }, secrets),
  ];
  if (problems.length > 0) throw refused(name, problems);
  return { name, job, definition: typeof given === "string" ? given : null };
}

function refused(name: string, problems: Problem[]): UserError {
  return new UserError(
    `The job ${name} cannot be started: ${problems.map(({ path, what }) => `${path}: ${what}`).join(" ")}`,
    [...new Set(problems.map(({ fix }) => fix))].join(" "),
  );
}

function parsed(
  config: PlanContext["config"],
  name: string,
  given: string | JobInput,
  path: string,
): JobConfig {
  if (typeof given === "string") {
    const job = Object.hasOwn(config.jobs, given) ? config.jobs[given] : undefined;
    if (job) return job;
    const names = Object.keys(config.jobs);
    throw new UserError(
      `Pulumi.${config.stack}.yaml has no job "${given}".`,
      names.length > 0 ? suggestion(given, names) : "Declare one under gpubox:jobs, as docs/jobs.md shows.",
    );
  }
  const result = jobSchema.safeParse(given);
  if (result.success) return result.data;
  const keys = () => Object.keys(jobSchema.shape);
  throw refused(name, zodProblems(result.error.issues, path, given, keys));
}

function templateOf(projectDir: string, name: string, { configTemplate }: JobConfig): string | undefined {
  if (configTemplate === undefined) return undefined;
  const path = resolve(projectDir, configTemplate);
  if (!existsSync(path))
    throw new UserError(
      `The template ${path} of the job ${name} does not exist.`,
      "Correct `configTemplate`: the path is relative to the stack's file.",
    );
  return readText(path);
}
