import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { checkJob, portClash, takenPorts } from "../../configs/jobs/check";
import { createArguments } from "../../configs/jobs/container";
import { JOB_KEY, type JobPlan, planJob } from "../../configs/jobs/plan";
import { expiry, type JobRecord } from "../../configs/jobs/record";
import type { PlanContext } from "../../configs/plan/context";
import { renderText, type SecretValues } from "../../configs/plan/text";
import { type Problem, suggestion } from "../../configs/problems";
import { type JobConfig, type JobInput, jobName, jobSchema } from "../../configs/schema/jobs";
import { zodProblems } from "../../configs/zodProblems";
import { holderOf } from "../machine";
import { output, run, UserError } from "../process";
import { defaultProjectDir, type Log } from "../project";
import { jobContainers, memoryOf } from "./containers";
import { inPlace } from "./queue";
import {
  artifactsFolder,
  folderOf,
  makeFolder,
  owner,
  readRecord,
  writeOwnFile,
  writeRecord,
} from "./records";
import { readJobStack, secretValues } from "./stack";
import { askUpstream } from "./upstream";

/** Seconds until a job's gateway is ready, on a machine that is busy. */
const READY_SECONDS = 300;

/** Milliseconds between two looks whether it is. */
const LOOK_MS = 100;

export interface StartOptions {
  /** A job of the stack config by its name, or one that the caller declares in the same shape. */
  job: string | JobInput;
  /** Name of this run; its folder, log and labels have it. Default: the job's name. */
  as?: string;
  /** Loopback port instead of the declared one. */
  port?: number;
  /** Default: dev. */
  stack?: string;
  /** Folder of the project with the stack's file. Default: this one. */
  projectDir?: string;
  /** Folder that gets a folder for the job. Default: artifacts/litellm of the project. */
  artifacts?: string;
  log?: Log;
}

/** A job's gateway that is ready. */
export interface StartedJob extends JobRecord {
  /** LiteLLM's config, for harnesses that start one of their own: LITELLM_CONFIG. */
  configFile: string;
  /** Its variables, mode 0600; LITELLM_MASTER_KEY is what clients send. */
  envFile: string;
  /** Where litellm-trajectory.jsonl lies. */
  logFolder: string;
  /** From `docker create` to ready, without what was waited for a place. */
  startSeconds: number;
  memoryMiB?: number;
}

/**
 * Starts a gateway of its own for a job and waits until it is ready. Refuses before anything starts.
 *
 * @throws ConfigError for mistakes in the stack's file and in a template; UserError for those in the job that is given, when
 *   its port is taken, the upstream cannot serve it, the stack is not up, it runs already, or does not get ready
 */
export async function startJob(options: StartOptions): Promise<StartedJob> {
  const { stack = "dev", projectDir = defaultProjectDir, log = () => {} } = options;
  const context = readJobStack(projectDir, stack);
  const { docker } = context.config.host;
  const { name, job, definition } = declared(context, options);
  const folder = folderOf(resolve(options.artifacts ?? artifactsFolder(projectDir)), name);
  const path = definition === null ? "job" : `gpubox:jobs.${definition}`;
  const plan = planJob(context, { name, job, folder, path, template: templateOf(projectDir, name, job) });
  for (const note of plan.notes) log(`  note: ${note}`);
  const [values] = await Promise.all([
    valuesOf(projectDir, stack, plan),
    requireFree(docker, stack, plan),
    requireBox(docker, stack, plan),
  ]);
  await askUpstream(docker, plan, { probe: job.probe, values, assets: context.assets });
  return inPlace(
    () => start(context, { plan, job, definition, values }, log),
    () => log(`  ${name} waits: as many gateways start as there are cores`),
  );
}

/** The job with what the command says of it, checked. */
function declared({ config }: PlanContext, { job: given, as, port }: StartOptions) {
  // What stands in the file is checked already: what is wrong now comes from the command or the harness.
  const path = "job";
  const name = as ?? (typeof given === "string" ? given : "");
  const named = jobName.safeParse(name);
  if (!named.success)
    throw new UserError(`"${name}" cannot be a job's name.`, named.error.issues[0]!.message);
  const job = { ...parsed(config, name, given, path), ...(port === undefined ? {} : { port }) };
  const problems = [
    ...checkJob(config, job, path),
    ...portClash(takenPorts({ ...config, jobs: {} }), job.port, path),
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
      names.length > 0 ? suggestion(given, names) : "Declare one under gpubox:jobs; docs/jobs.md shows how.",
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
      "Correct `configTemplate`: a path from the folder of the stack's file.",
    );
  return readFileSync(path, "utf8");
}

async function requireFree(docker: string, stack: string, { name, port }: JobPlan): Promise<void> {
  const [there] = await jobContainers(docker, stack, name);
  if (there)
    throw new UserError(
      `The job ${name} is there already (${there.status}).`,
      `Stop it, \`npm run job stop ${name} -- --stack ${stack}\`, or name this run otherwise: --as NAME.`,
    );
  const holder = await holderOf({ bind: "127.0.0.1", port, key: "port" }, docker);
  if (holder === "free" || holder === "unknown") return;
  const who = "container" in holder ? `the container ${holder.container}` : holder.process;
  throw new UserError(
    `Port ${port} on 127.0.0.1 is held by ${who}.`,
    "Stop that, or give the job another port: --port N.",
  );
}

async function requireBox(docker: string, stack: string, { networks, image }: JobPlan): Promise<void> {
  const seen = await Promise.all([
    run("docker", ["-H", docker, "network", "inspect", ...networks]),
    run("docker", ["-H", docker, "image", "inspect", image]),
  ]);
  if (seen.some(({ code }) => code !== 0))
    throw new UserError(
      `The stack ${stack} is not up: a job uses its networks and its gateway's image.`,
      `Bring it up first: npm run up -- --stack ${stack}.`,
    );
}

/** The secrets of a job's files, and what clients have to send. */
async function valuesOf(projectDir: string, stack: string, { secrets, key }: JobPlan): Promise<SecretValues> {
  const values = await secretValues(projectDir, stack, secrets);
  const own =
    key === "made"
      ? `sk-${randomBytes(32).toString("base64url")}`
      : typeof key === "string"
        ? key
        : values[key.secret]!;
  return { ...values, [JOB_KEY]: own };
}

interface Prepared {
  plan: JobPlan;
  job: JobConfig;
  definition: string | null;
  values: SecretValues;
}

async function start(context: PlanContext, prepared: Prepared, log: Log): Promise<StartedJob> {
  const { plan, job, definition, values } = prepared;
  const { stack, host } = context.config;
  const to = owner();
  const began = Date.now();
  const expiresAt = expiry(new Date(began), job.lifetimeSeconds);
  makeFolder(plan.folder, to);
  refuseForeign(plan, stack);
  // Docker lets one container have the name: of two starts at once, one gets it, and only that one writes.
  const id = await output("docker", [
    ...["-H", host.docker],
    ...createArguments(plan, { stack, owner: to, expiresAt, cores: job.cores, memoryMiB: job.memoryMiB }),
  ]);
  const record: JobRecord = {
    ...{ schema: 1, job: plan.name, stack, definition, container: id, containerName: plan.containerName },
    ...{ image: plan.image, folder: plan.folder, endpoint: plan.endpoint, model: plan.model },
    ...{ protocols: job.protocols, upstream: plan.upstream, drainSeconds: job.drainTimeout },
    ...{ startedAt: new Date(began).toISOString(), expiresAt, stoppedAt: null },
  };
  try {
    for (const [file, { text }] of Object.entries(plan.files))
      writeOwnFile(join(plan.folder, file), renderText(text, values), to);
    writeRecord(record, to);
    for (const network of plan.networks.slice(1))
      await output("docker", ["-H", host.docker, "network", "connect", network, id]);
    await output("docker", ["-H", host.docker, "start", id]);
    await awaitReady(host.docker, id, plan, values[JOB_KEY]!);
  } catch (error) {
    await run("docker", ["-H", host.docker, "rm", "--force", id]);
    writeRecord({ ...record, stoppedAt: new Date().toISOString() }, to);
    throw error;
  }
  const startSeconds = Math.round((Date.now() - began) / 100) / 10;
  const memoryMiB = await memoryOf(host.docker, id);
  const size = memoryMiB === undefined ? "" : `, ${memoryMiB} MiB`;
  log(`${plan.name} serves ${plan.model} at ${plan.endpoint} after ${startSeconds} s${size}`);
  return {
    ...record,
    configFile: join(plan.folder, "litellm_config_eval.yaml"),
    envFile: join(plan.folder, "litellm.env"),
    logFolder: join(plan.folder, "log"),
    startSeconds,
    memoryMiB,
  };
}

/** The folder may be of a job that runs in another stack. */
function refuseForeign({ name, folder }: JobPlan, stack: string): void {
  const record = readRecord(folder);
  if (!record || record.stoppedAt !== null || record.stack === stack) return;
  throw new UserError(
    `${folder} belongs to the job ${record.job} of the stack ${record.stack}.`,
    `Stop that first, or name this run otherwise: npm run job start ${name} -- --as NAME.`,
  );
}

/** @throws UserError with the gateway's last words when it ends, or when it takes too long */
async function awaitReady(docker: string, id: string, plan: JobPlan, key: string): Promise<void> {
  const deadline = Date.now() + READY_SECONDS * 1000;
  for (let look = 1; ; look++) {
    const answer = await fetch(`${plan.endpoint}/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(10_000),
    }).catch(() => undefined);
    if (answer?.ok) return;
    // Looking at the container costs more than a refused connection.
    const ended = look % 10 === 0 && (await hasEnded(docker, id));
    if (ended || Date.now() > deadline) {
      const { stdout, stderr } = await run("docker", ["-H", docker, "logs", "--tail", "40", id]);
      const words = `${stdout}\n${stderr}`.trim().split("\n").slice(-3).join(" ").slice(-600);
      throw new UserError(
        `The gateway of ${plan.name} ${ended ? "ended at its start" : `was not ready within ${READY_SECONDS} s`}: ${words}`,
        `Look at ${join(plan.folder, "litellm_config_eval.yaml")}.`,
      );
    }
    await sleep(LOOK_MS);
  }
}

async function hasEnded(docker: string, id: string): Promise<boolean> {
  const format = "{{.State.Status}} {{.RestartCount}}";
  const { stdout } = await run("docker", ["-H", docker, "inspect", "--format", format, id]);
  return stdout.trim() !== "running 0";
}
