import type { BoxPlan } from "../../configs/kit/types";
import { engineAddress } from "../../configs/network/engine";
import { servicesOf } from "../../configs/plan/box";
import { clusterEndpoint } from "../../configs/plan/kubernetes/target";
import { type Owner, ownerOf } from "../../configs/plan/owner";
import { policyWords } from "../../configs/policy/judge";
import { saltFingerprint } from "../../configs/secrets/facts";
import type { StackConfig } from "../../configs/stack/config";
import { publishedPorts } from "../../configs/stack/ports";
import { modelsOfBox } from "../../configs/stack/profiles";
import { madeSecrets } from "../../configs/stack/requiredSecrets";
import { ensureDocker } from "../../platform/docker/engine";
import { checkMachine } from "../../platform/machine";
import { UserError } from "../../platform/process";
import type { Report } from "../../platform/progress";
import { ensureStackConfig, type Log } from "../../platform/project";
import { restoreCheckpoint } from "../../platform/pulumi/checkpoint";
import { ensurePulumi, type PulumiEngine, pulumi, selectStack } from "../../platform/pulumi/engine";
import { clearDeadLock, removeOrphans, resolvePending } from "../../platform/pulumi/state";
import { connectHost } from "../../platform/ssh/connection";
import { checkPlace, engineIdOf } from "../../platform/stack/owner";
import { checkStackFile, planStack, readStack } from "../../platform/stack/planStack";
import { ensureSecrets, findSecretStore, type Secrets } from "../../platform/stack/secrets";
import {
  rememberedHost,
  rememberHost,
  rememberSalt,
  rememberVersion,
} from "../../platform/stack/stackConfig";
import { speedAfterUp, type UpSpeed } from "../bench/afterUp";
import { readKept } from "../bench/kept";
import { composeUp } from "../compose/composeEngine";
import { COMPOSE_LOSES } from "../compose/composeFile";
import { repairDrift } from "../drift/repair";
import { smokeStack } from "../smoke/stack";
import { clusterUp } from "./clusterUp";
import { farewell } from "./farewell";
import { checkJoinedNetworks } from "./foreignNetworks";
import { settleGpuAccess } from "./gpuAccess";
import { checkGround, claimPlace } from "./ground";
import { resolve } from "./resolve";
import { endStandIns } from "./standIns";
import { watchingHost } from "./watchHost";
import { bringUpWorkers } from "./workers";

export interface UpOptions {
  stack: string;
  projectDir: string;
  /** Ask nothing, for example before installing Docker. */
  yes: boolean;
  /** Make the host this stack's, even if it was another's or the box was on another host. */
  takeOver: boolean;
  /** What converges the box. Without a Pulumi engine, `pulumi` falls back to Compose and says so. */
  engine: "pulumi" | "compose";
  /** Asks the person at the terminal to agree. Absent without one: then nothing is asked. */
  confirm?: (question: string) => Promise<boolean>;
  log: Log;
  /** Gets how far long steps are. */
  report?: Report;
  /** Runs once the plan is known and before anything of the box changes. */
  beforeChange?: (plan: BoxPlan) => Promise<void>;
}

/** What `up` says of a box in the end. */
interface BroughtUp extends Pick<BoxPlan, "stack" | "endpoint" | "adminEndpoint" | "models" | "notes"> {
  engine: "pulumi" | "compose";
  checks: Awaited<ReturnType<typeof smokeStack>>;
  /** Of models that `gpubox bench model` measured. */
  speeds: UpSpeed[];
}

/**
 * Brings a box up, from a bare machine to answers on both protocols. A running box converges to the stack config.
 *
 * @throws ConfigError with every mistake of the stack config; UserError when the machine or the change fails
 */
export async function bringUp(options: UpOptions): Promise<BroughtUp> {
  const { stack, projectDir, log, report } = options;
  ensureStackConfig(projectDir, stack);
  const early = checkStackFile(projectDir, stack);

  log(`gpubox: bringing up the stack ${stack}`);
  if (early.target === "kubernetes") {
    const plan = await clusterUp(early, options);
    const { adminEndpoint, models, notes } = plan;
    // Jobs on the cluster have proven the models by now.
    return {
      stack,
      endpoint: clusterEndpoint(plan),
      adminEndpoint,
      engine: "pulumi",
      models,
      notes,
      checks: [],
      speeds: [],
    };
  }
  connectHost(projectDir, early);
  await bringUpWorkers(early, log, (worker, beforeChange) =>
    bringUp({ ...options, stack: worker, beforeChange }),
  );
  const engine = await machine(early, options);
  const store = engine ? { projectDir, stack, engine } : await findSecretStore(projectDir, stack);

  if (engine) {
    restoreCheckpoint({ engine, stack, log });
    await selectStack(engine, stack);
    await clearDeadLock({ engine, stack, log });
  }
  const secrets = await ensureSecrets({ ...store, names: madeSecrets(early), log });
  if (secrets.saltKey) rememberSalt(projectDir, stack, secrets.saltKey);
  rememberVersion(projectDir, stack);
  await settleGpuAccess(projectDir, early, log);
  const config = readStack(projectDir, stack, secrets);
  if (!options.takeOver) checkPlace(config, ownerIn(config, secrets), rememberedHost(projectDir, stack));
  checkJoinedNetworks(config);

  log("\nimages and models");
  const resolved = await resolve({ projectDir, stack, config, log, report });
  const plan = planStack(projectDir, stack, secrets, resolved);
  for (const note of [...plan.notes, ...policyWords(plan.policy)]) log(`  note: ${note}`);
  await own(plan, config, projectDir);
  await options.beforeChange?.(plan);

  if (engine) await convergeWithPulumi(engine, plan, secrets, { log, report });
  else {
    log("\ncontainers, by Compose");
    for (const loss of COMPOSE_LOSES) log(`  note: ${loss}`);
    await watchingHost({ plan, secrets, report }, () => composeUp({ projectDir, plan, secrets, log }));
  }

  log("\nsmoke");
  const kept = readKept(plan);
  const checks = await smokeStack(config, secrets, log);
  const speeds = await speedAfterUp({ plan, config, secrets }, await kept, log);
  for (const line of farewell(plan, engine, config)) log(line);
  const { endpoint, adminEndpoint, models, notes } = plan;
  return {
    stack,
    endpoint,
    adminEndpoint,
    engine: engine ? "pulumi" : "compose",
    models,
    notes,
    checks,
    speeds,
  };
}

function ownerIn({ stack }: StackConfig, { saltKey }: Secrets): Owner | undefined {
  return ownerOf(stack, saltFingerprint(saltKey ?? ""));
}

/** From here on the host belongs to this stack, also for plain Pulumi and for another checkout. */
async function own(plan: BoxPlan, config: StackConfig, projectDir: string): Promise<void> {
  await claimPlace(plan, config);
  const id = engineIdOf(config, rememberedHost(projectDir, plan.stack));
  if (id) rememberHost(projectDir, plan.stack, id);
}

/** What the machine has: a Docker engine, and a Pulumi engine if available. */
async function machine(config: StackConfig, options: UpOptions): Promise<PulumiEngine | undefined> {
  const { projectDir, log } = options;
  const byCompose = options.engine === "compose";
  const engineOptions = {
    host: engineAddress(config),
    projectDir,
    yes: options.yes,
    confirm: options.confirm,
    log,
  };
  const docker = await ensureDocker({ ...engineOptions, compose: byCompose });
  await checkGround(config, docker);
  const found = byCompose ? undefined : await ensurePulumi({ projectDir, log });
  await checkMachine({
    stack: options.stack,
    docker: engineAddress(config),
    engine: docker,
    pulumi: byCompose ? "compose" : found?.engine,
    dataDir: config.host.dataDir,
    ports: publishedPorts({ ...config, models: modelsOfBox(config) }),
    log,
  });
  if (found && !found.engine) {
    log(`  note: no Pulumi engine is available: ${found.reason} Compose brings up the same plan instead.`);
    await ensureDocker({ ...engineOptions, compose: true });
  }
  return found?.engine;
}

async function convergeWithPulumi(
  engine: PulumiEngine,
  plan: BoxPlan,
  secrets: Secrets,
  { log, report }: { log: Log; report: Report | undefined },
): Promise<void> {
  const state = { engine, stack: plan.stack, log };
  const { resources } = await resolvePending(state);
  await removeOrphans({ stack: plan.stack, docker: plan.docker, prefix: plan.prefix, resources, log });
  await endStandIns(plan, log);
  const anew = await repairDrift({ box: plan, resources, secrets, log });
  log(`\ncontainers, by Pulumi ${engine.version} (${servicesOf(plan).length} containers)`);
  const served = resources.some(({ type }) => type === "gpubox:index:Gateway");
  const args = ["up", "--yes", "--skip-preview", "--refresh", "--stack", plan.stack, ...anew];
  const result = await watchingHost({ plan, secrets, report }, () => pulumi(engine, args, { inherit: true }));
  if (result.code !== 0)
    throw new UserError(
      `\`pulumi up\` did not finish. ${served ? "What served before keeps serving." : "Nothing served before."}`,
      "The lines above say why. Correct it and run `gpubox up` again.",
    );
}
