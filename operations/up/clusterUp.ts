import { ConfigError } from "../../configs/kit/problems";
import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { clusterEndpoint, judgedForCluster } from "../../configs/plan/kubernetes/target";
import { policyWords } from "../../configs/policy/judge";
import type { StackConfig } from "../../configs/stack/config";
import { madeSecrets } from "../../configs/stack/requiredSecrets";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { restoreCheckpoint } from "../../platform/pulumi/checkpoint";
import { ensurePulumi, exportsFor, pulumi, selectStack } from "../../platform/pulumi/engine";
import { clearDeadLock, resolvePending } from "../../platform/pulumi/state";
import { planStack, readStack } from "../../platform/stack/planStack";
import { readResolved } from "../../platform/stack/resolved";
import { ensureSecrets } from "../../platform/stack/secrets";
import { rememberSalt, rememberVersion } from "../../platform/stack/stackConfig";
import { checkTarget } from "../kubernetes/check";
import { findingLines } from "../kubernetes/finding";

interface ClusterUp {
  stack: string;
  projectDir: string;
  engine: "pulumi" | "compose";
  log: Log;
  /** Runs once the plan is known and before anything of the box changes. */
  beforeChange?: (plan: BoxPlan) => Promise<void>;
}

/**
 * Brings a stack up on the cluster that it names as its target. Prepares no host, builds no image and opens no connection: the cluster
 * pulls, places and proves, and Pulumi waits for it.
 *
 * @param early the stack's checked config, its secrets known by name
 * @throws ConfigError with what only one host can do, or with what is in the way in the cluster; UserError when there is no Pulumi engine, or when the change fails
 */
export async function clusterUp(early: StackConfig, options: ClusterUp): Promise<BoxPlan> {
  const { stack, projectDir, log } = options;
  if (options.engine === "compose")
    throw new UserError(
      "Compose brings nothing up on a cluster.",
      "Leave --engine out, or apply what `gpubox manifests` prints.",
    );
  const found = await ensurePulumi({ projectDir, log });
  if (!found.engine)
    throw new UserError(
      found.reason,
      `Install Pulumi, or apply the same objects without it: gpubox manifests --stack ${stack} | kubectl apply --server-side -f - (docs/kubernetes.md).`,
    );
  const { engine } = found;
  restoreCheckpoint({ engine, stack, log });
  await selectStack(engine, stack);
  await clearDeadLock({ engine, stack, log });
  const secrets = await ensureSecrets({ projectDir, stack, engine, names: madeSecrets(early), log });
  if (secrets.saltKey) rememberSalt(projectDir, stack, secrets.saltKey);
  rememberVersion(projectDir, stack);
  const plan = planStack(projectDir, stack, secrets, readResolved(projectDir, stack));
  judgedForCluster(readStack(projectDir, stack, secrets), plan);
  for (const note of [...plan.notes, ...policyWords(plan.policy)]) log(`  note: ${note}`);
  const findings = await checkTarget(plan);
  const refused = findings.filter(({ level }) => level === "refused");
  if (refused.length > 0) throw new ConfigError(stack, refused);
  for (const line of findingLines(findings)) log(`  ${line}`);
  await options.beforeChange?.(plan);
  await resolvePending({ engine, stack, log });
  const { namespace, settings } = clusterOf(plan);
  log(`\nobjects, by Pulumi ${engine.version} (context ${settings.context}, namespace ${namespace})`);
  const args = ["up", "--yes", "--skip-preview", "--refresh", "--stack", stack];
  const result = await pulumi(engine, args, { inherit: true });
  if (result.code !== 0)
    throw new UserError(
      "`pulumi up` did not finish. Gateways that served before keep serving until new ones are ready.",
      `The lines above say why, and so does \`gpubox doctor --stack ${stack}\`. Correct it and run \`gpubox up\` again: a failed Job is made anew. A conflict names a field that somebody else set: set it back, or write it into the file.`,
    );
  for (const line of [
    `\nThe box serves at ${clusterEndpoint(plan)} inside the cluster. Admin and UI:`,
    `  kubectl --context ${settings.context} -n ${namespace} port-forward service/edge-admin 4001:4001`,
    "From now on you can use plain Pulumi. In a shell in this folder:",
    ...exportsFor(engine).map((line) => `  ${line}`),
    `  pulumi preview --stack ${stack}`,
  ])
    log(line);
  return plan;
}
