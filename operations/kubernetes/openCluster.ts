import type { BoxPlan } from "../../configs/kit/types";
import { lossesOnCluster } from "../../configs/plan/kubernetes/target";
import { policyWords } from "../../configs/policy/judge";
import { madeSecrets } from "../../configs/stack/requiredSecrets";
import { ensureStackConfig, type Log } from "../../platform/project";
import { checkStackFile, planStack, readStack } from "../../platform/stack/planStack";
import { readResolved } from "../../platform/stack/resolved";
import { ensureSecrets, findSecretStore, type Secrets } from "../../platform/stack/secrets";
import { rememberSalt } from "../../platform/stack/stackConfig";

/** A stack's plan for a cluster. */
export interface OpenCluster {
  plan: BoxPlan;
  secrets: Secrets;
  /** What it lacks there, a sentence each. */
  losses: string[];
  /** What `up` would say of the plan, too. */
  notes: string[];
}

/**
 * Plans a stack for a cluster. Makes the secrets that are missing, as `up` does, and contacts nobody.
 *
 * @throws ConfigError with every mistake of the stack config, or with everything in it that only one host can do
 */
export async function openCluster(projectDir: string, stack: string, log: Log): Promise<OpenCluster> {
  ensureStackConfig(projectDir, stack);
  const early = checkStackFile(projectDir, stack);
  const store = await findSecretStore(projectDir, stack);
  const secrets = await ensureSecrets({ ...store, names: madeSecrets(early), log });
  if (secrets.saltKey) rememberSalt(projectDir, stack, secrets.saltKey);
  const config = readStack(projectDir, stack, secrets);
  const plan = planStack(projectDir, stack, secrets, readResolved(projectDir, stack), "kubernetes");
  return {
    plan,
    secrets,
    losses: lossesOnCluster(config, plan),
    notes: [...plan.notes, ...policyWords(plan.policy)],
  };
}
