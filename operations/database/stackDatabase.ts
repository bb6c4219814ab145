import type { StepPlan } from "../../configs/kit/containerPlan";
import { existsScript } from "../../configs/kit/hostFiles";
import { renderText } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { type BackupJob, backupJobSchema } from "../../configs/plan/backup";
import { dockerAt, labelFilters } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { openStack } from "../../platform/stack/openStack";
import type { Secrets } from "../../platform/stack/secrets";

/** A stack whose database is on this host. */
export interface StackDatabase {
  plan: BoxPlan;
  job: BackupJob;
  secrets: Secrets;
}

/**
 * A stack's plan with what its backups need.
 *
 * @throws UserError when the stack has no database on this host
 */
export async function stackDatabase(projectDir: string, stack: string): Promise<StackDatabase> {
  const { secrets, plan } = await openStack(stack, projectDir);
  return databaseOf(plan, secrets);
}

/**
 * The same for a stack that is open.
 *
 * @throws UserError when the stack has no database on this host
 */
export function databaseOf(plan: BoxPlan, secrets: Secrets): StackDatabase {
  if (!plan.backup?.stdin)
    throw new UserError(
      `The stack ${plan.stack} has no database on this host.`,
      "Back up and query an external database where it runs. With `mode: none` there is no database.",
    );
  return { plan, secrets, job: backupJobSchema.parse(JSON.parse(renderText(plan.backup.stdin, secrets))) };
}

/**
 * What `up` does once to a new or restored database: the schema of the gateway's image, then the declared teams and
 * keys. Where no gateway of this config has been brought up, its files are missing and the next `up` does it.
 */
export async function bringUpToDate(database: StackDatabase, log: Log): Promise<void> {
  const migrate = database.plan.gateway.before.find(({ name }) => name === "migrate");
  if (migrate && (await isBroughtUp(database))) await runStep(database, migrate, log);
  else if (migrate) log("  no gateway of this config was brought up here: `gpubox up` makes its tables");
  await makeAccess(database, log);
}

/** True where the host has the files of this config's gateway, which the migration reads. */
async function isBroughtUp({ plan }: StackDatabase): Promise<boolean> {
  const { docker, dataDir, edge, gateway } = plan;
  const look = existsScript(edge.container.image, dataDir, gateway.directory.path);
  return (await dockerAt(docker).scriptOutput(look)).trim() === "yes";
}

/** Creates the declared teams and keys again through a gateway of this config, or says that none runs. */
export async function makeAccess(database: StackDatabase, log: Log): Promise<void> {
  const { stack, docker, gateway } = database.plan;
  if (!gateway.access) return;
  const filters = labelFilters([`gpubox.stack=${stack}`, `gpubox.generation=${gateway.generation}`]);
  const running = await dockerAt(docker).run(["ps", "-q", ...filters]);
  const container = running.stdout.split("\n")[0];
  if (container) await runStep(database, gateway.access, log, { GPUBOX_CONTAINER: container });
  else log("  no gateway of this config runs: `gpubox up` makes the declared teams and keys");
}

async function runStep(
  { plan, secrets }: StackDatabase,
  { script, stdin }: StepPlan,
  log: Log,
  env: Record<string, string> = {},
): Promise<void> {
  const done = await dockerAt(plan.docker).script(script, {
    env,
    stdin: stdin && renderText(stdin, secrets),
  });
  for (const line of done.stdout.split("\n").filter(Boolean)) log(`  ${line}`);
  if (done.code !== 0) throw new UserError(done.stderr.trim(), "Correct it and run `gpubox up`.");
}
