import type { BoxPlan } from "../configs/kit/types";
import type { ModelLock } from "../configs/models/facts";
import { parseStack, type RawStack } from "../configs/parse";
import { planBox } from "../configs/plan/box";
import { judgedForCluster } from "../configs/plan/kubernetes/target";
import { saltFingerprint } from "../configs/secrets/facts";
import type { StackConfig } from "../configs/stack/config";
import { withoutLeftOut } from "../configs/stack/optionalModels";
import { loadAssets } from "../platform/stack/assets";
import { readModelLock } from "../platform/stack/modelLock";
import { readResolved } from "../platform/stack/resolved";

/**
 * Everything before the first resource of a stack whose target is a cluster. Contacts no host and no cluster.
 *
 * @throws ConfigError with every mistake of the config, or with everything in it that only one host can do
 */
export function preparedForCluster(
  projectDir: string,
  raw: RawStack,
  secrets: Record<string, string>,
): { config: StackConfig; plan: BoxPlan; lock: ModelLock; losses: string[] } {
  const lock = readModelLock(projectDir);
  const config = parseStack({ ...raw, lock });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved: readResolved(projectDir, raw.stack),
    assets: loadAssets(),
  });
  return { config, plan, lock, losses: judgedForCluster(withoutLeftOut(config, raw.secrets), plan) };
}
