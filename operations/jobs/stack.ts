import { dockerHostName } from "../../configs/network/engine";
import { planContext } from "../../configs/plan/box";
import type { PlanContext } from "../../configs/plan/context";
import { sshAddress } from "../../configs/schema/address";
import { standIn } from "../../configs/secrets/facts";
import { generatedSecrets } from "../../configs/stack/config";
import { UserError } from "../../platform/process";
import { loadAssets } from "../../platform/stack/assets";
import { readModelLock } from "../../platform/stack/modelLock";
import { checkStackFile, namedSecrets } from "../../platform/stack/planStack";
import { readResolved } from "../../platform/stack/resolved";
import { findSecretStore, readSecrets, type Secrets } from "../../platform/stack/secrets";
import { readStackFile } from "../../platform/stack/stackConfig";

/**
 * Reads what a stack's jobs are planned from, without an engine or secrets: those would cost seconds, and most jobs
 * need none.
 */
export function readJobStack(projectDir: string, stack: string): PlanContext {
  const names = [...new Set([...generatedSecrets, ...namedSecrets(projectDir, stack)])];
  const config = checkStackFile(projectDir, stack, { secrets: names });
  if (sshAddress(config.host.docker))
    throw new UserError(
      `Jobs keep their folders on their gateway's host, and the box of ${stack} is on ${dockerHostName(config.host.docker)}.`,
      "Run `gpubox job` in a checkout on that host, with docker: unix:///var/run/docker.sock.",
    );
  const standIns = Object.fromEntries(names.map((name) => [name, standIn(name)]));
  return planContext({
    config,
    secrets: readStackFile(projectDir, stack, standIns).secrets,
    saltFingerprint: "",
    resolved: readResolved(projectDir, stack),
    lock: readModelLock(projectDir),
    assets: loadAssets(),
  });
}

/** @throws UserError when a secret is not set */
export async function secretValues(projectDir: string, stack: string, names: string[]): Promise<Secrets> {
  if (names.length === 0) return {};
  const all = await readSecrets(await findSecretStore(projectDir, stack));
  const missing = names.find((name) => !all[name]);
  if (missing)
    throw new UserError(
      `The secret ${missing} is not set.`,
      `Set it: pulumi config set --secret gpubox:${missing} --stack ${stack}.`,
    );
  return Object.fromEntries(names.map((name) => [name, all[name]!]));
}
