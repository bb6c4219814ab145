import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { renderText, type SecretValues } from "../../configs/kit/text";
import { UserError } from "../../platform/process";
import type { FileOwner } from "./createArguments";
import { planRun, type StartOptions } from "./declared";
import { CONFIG_FILE, ENV_FILE, JOB_KEY, type JobPlan } from "./plan";
import { makeFolder, owner, readJobRecord, writeOwnFile } from "./recordFiles";
import { secretValues } from "./stack";

/** Files that a harness may use. */
export interface JobFiles {
  /** LiteLLM's config, for harnesses that start their own LiteLLM: LITELLM_CONFIG. */
  configFile: string;
  /** Its variables, mode 0600. LITELLM_MASTER_KEY is the key that clients send. */
  envFile: string;
  /** Folder of litellm-trajectory.jsonl. */
  logFolder: string;
}

/**
 * Writes a job's files without starting anything, for a harness that starts LiteLLM itself.
 *
 * @throws like `startJob`; also UserError for a model of the box, which only containers reach, and for a running job
 */
export async function renderJob(options: StartOptions): Promise<JobFiles> {
  const { stack, projectDir, job, plan } = planRun(options);
  if ("box" in job.upstream)
    throw new UserError(
      `The job ${plan.name} has a model of this box, which only containers on the box's networks reach.`,
      `Start its gateway: gpubox job start ${plan.name} --stack ${stack}.`,
    );
  const record = readJobRecord(plan.folder);
  if (record && record.stoppedAt === null)
    throw new UserError(
      `The files of ${plan.name} are in use by its gateway.`,
      "Use them as they are, or give this run another name: --as NAME.",
    );
  for (const note of plan.notes) options.log?.(`  note: ${note}`);
  const values = await valuesOf(projectDir, stack, plan);
  const to = owner();
  makeFolder(plan.folder, to);
  writeFiles(plan, values, to);
  return filesOf(plan);
}

/** The secrets in a job's files, and the key that clients send. */
export async function valuesOf(
  projectDir: string,
  stack: string,
  { secrets, key }: JobPlan,
): Promise<SecretValues> {
  const values = await secretValues(projectDir, stack, secrets);
  const own =
    key === "made"
      ? `sk-${randomBytes(32).toString("base64url")}`
      : typeof key === "string"
        ? key
        : values[key.secret]!;
  return { ...values, [JOB_KEY]: own };
}

export function writeFiles({ folder, files }: JobPlan, values: SecretValues, to: FileOwner): void {
  for (const [file, { text }] of Object.entries(files))
    writeOwnFile(join(folder, file), renderText(text, values), to);
}

export function filesOf({ folder }: JobPlan): JobFiles {
  return {
    configFile: join(folder, CONFIG_FILE),
    envFile: join(folder, ENV_FILE),
    logFolder: join(folder, "log"),
  };
}
