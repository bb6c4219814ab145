import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { SecretValues } from "../../configs/kit/text";
import type { PlanContext } from "../../configs/plan/context";
import type { JobConfig } from "../../configs/schema/jobs";
import { dockerAt } from "../../platform/docker/client";
import { holderOf } from "../../platform/machine";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { within } from "../../platform/within";
import { askUpstream } from "./askUpstream";
import { jobContainers, memoryOf, removeEdge } from "./containers";
import { createArguments, edgeArguments } from "./createArguments";
import { planRun, type StartOptions } from "./declared";
import { filesOf, type JobFiles, valuesOf, writeFiles } from "./files";
import { JOB_KEY, type JobPlan } from "./plan";
import { inPlace } from "./queue";
import { expiry, type JobRecord } from "./record";
import { endRecord, makeFolder, owner, readJobRecord, writeRecord } from "./recordFiles";

/** Longest start of a job's gateway, in seconds, on a busy machine. */
const READY_SECONDS = 300;

/** Milliseconds between two checks of its readiness. */
const LOOK_MS = 100;

/** A job's gateway that is ready. */
export interface StartedJob extends JobRecord, JobFiles {
  /** From `docker create` to ready, in seconds, without the wait for a place. */
  startSeconds: number;
  memoryMiB?: number;
}

/**
 * Starts a job's own gateway and waits until it is ready. Every check comes before the start.
 *
 * @throws ConfigError for mistakes in the stack's file and in a template; UserError for mistakes in the given job, when
 * its port is taken, when the upstream cannot serve it, when the stack is not up, when the job runs already, or when it
 * does not become ready
 */
export async function startJob(options: StartOptions): Promise<StartedJob> {
  const { log = () => {} } = options;
  const { stack, projectDir, context, job, definition, plan } = planRun(options);
  const { docker } = context.config.host;
  for (const note of plan.notes) log(`  note: ${note}`);
  const [values] = await Promise.all([
    valuesOf(projectDir, stack, plan),
    requireFree(docker, stack, plan),
    requireBox(docker, stack, plan),
  ]);
  await askUpstream(docker, plan, { probe: job.probe, values, assets: context.assets });
  return inPlace(
    () => start(context, { plan, job, definition, values }, log),
    () => log(`  ${plan.name} waits: one gateway per core starts at a time`),
  );
}

async function requireFree(docker: string, stack: string, { name, port }: JobPlan): Promise<void> {
  const [there] = await jobContainers(docker, stack, name);
  if (there)
    throw new UserError(
      `The job ${name} exists already (${there.status}).`,
      `Stop it with \`gpubox job stop ${name} --stack ${stack}\`, or give this run another name: --as NAME.`,
    );
  const holder = await holderOf({ bind: "127.0.0.1", port, key: "port" }, docker);
  if (holder === "free" || holder === "unknown") return;
  const who = "container" in holder ? `the container ${holder.container}` : holder.process;
  throw new UserError(
    `Port ${port} on 127.0.0.1 is held by ${who}.`,
    "Stop that, or give the job another port: --port N.",
  );
}

async function requireBox(docker: string, stack: string, { networks, image, edge }: JobPlan): Promise<void> {
  const engine = dockerAt(docker);
  const [found, hasImages] = await Promise.all([
    engine.run(["network", "inspect", ...networks]),
    engine.hasImages(image, edge.image),
  ]);
  if (found.code !== 0 || !hasImages)
    throw new UserError(
      `The stack ${stack} is not up: a job uses its networks and the images of its gateway and edge.`,
      `Bring it up first: gpubox up --stack ${stack}.`,
    );
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
  const docker = dockerAt(host.docker);
  const to = owner();
  const began = Date.now();
  const expiresAt = expiry(new Date(began), job.lifetimeSeconds);
  makeFolder(plan.folder, to);
  refuseForeign(plan, stack);
  // Docker allows one container of a name: of two simultaneous starts one gets it, and only that one writes.
  const limits = { stack, owner: to, expiresAt, cores: job.cores, memoryMiB: job.memoryMiB };
  const id = await docker.output(createArguments(plan, limits));
  const record: JobRecord = {
    ...{ schema: 1, job: plan.name, stack, definition, container: id, containerName: plan.containerName },
    ...{ image: plan.image, folder: plan.folder, endpoint: plan.endpoint, model: plan.model },
    ...{ protocols: job.protocols, upstream: plan.upstream },
    ...{ startedAt: new Date(began).toISOString(), expiresAt, stoppedAt: null },
  };
  try {
    writeFiles(plan, values, to);
    writeRecord(record, to);
    for (const network of plan.networks.slice(1)) await docker.output(["network", "connect", network, id]);
    await docker.output(["start", id]);
    // An edge that outlived its gateway would still use the name.
    await removeEdge(host.docker, stack, plan.name);
    const edge = await docker.output(edgeArguments(plan, limits));
    await docker.output(["start", edge]);
    await awaitReady(host.docker, id, plan, values[JOB_KEY]!);
  } catch (error) {
    await docker.run(["rm", "--force", id]);
    await removeEdge(host.docker, stack, plan.name);
    // Somebody may have restarted the job meanwhile, and then the files belong to the next run.
    if (readJobRecord(plan.folder)?.container === id) endRecord(record);
    throw error;
  }
  const startSeconds = Math.round((Date.now() - began) / 100) / 10;
  const memoryMiB = await memoryOf(host.docker, id);
  const size = memoryMiB === undefined ? "" : `, ${memoryMiB} MiB`;
  log(`${plan.name} serves ${plan.model} at ${plan.endpoint} after ${startSeconds} s${size}`);
  return {
    ...record,
    ...filesOf(plan),
    startSeconds,
    memoryMiB,
  };
}

/** The folder may belong to a job that runs in another stack. */
function refuseForeign({ name, folder }: JobPlan, stack: string): void {
  const record = readJobRecord(folder);
  if (!record || record.stoppedAt !== null || record.stack === stack) return;
  throw new UserError(
    `${folder} belongs to the job ${record.job} of the stack ${record.stack}.`,
    `Stop that job first, or give this run another name: gpubox job start ${name} --as NAME.`,
  );
}

/** @throws UserError with the gateway's last words when it ends or takes too long */
async function awaitReady(docker: string, id: string, plan: JobPlan, key: string): Promise<void> {
  const deadline = Date.now() + READY_SECONDS * 1000;
  for (let look = 1; ; look++) {
    const asked = within(10_000, (signal) =>
      fetch(`${plan.endpoint}/v1/models`, { headers: { authorization: `Bearer ${key}` }, signal }),
    );
    const answer = await asked.catch(() => undefined);
    if (answer?.ok) return;
    // Inspecting the container costs more than a refused connection.
    const ended = look % 10 === 0 && (await hasEnded(docker, id));
    if (ended || Date.now() > deadline) {
      const { stdout, stderr } = await dockerAt(docker).run(["logs", "--tail", "40", id]);
      const words = `${stdout}\n${stderr}`.trim().split("\n").slice(-3).join(" ").slice(-600);
      throw new UserError(
        `The gateway of ${plan.name} ${ended ? "ended while it started" : `was not ready within ${READY_SECONDS} s`}: ${words}`,
        `Look at ${join(plan.folder, "litellm_config_eval.yaml")}.`,
      );
    }
    await sleep(LOOK_MS);
  }
}

async function hasEnded(docker: string, id: string): Promise<boolean> {
  const format = "{{.State.Status}} {{.RestartCount}}";
  const { stdout } = await dockerAt(docker).run(["inspect", "--format", format, id]);
  return stdout.trim() !== "running 0";
}
