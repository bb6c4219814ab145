import * as pulumi from "@pulumi/pulumi";
import { ConfigError } from "../configs/kit/problems";
import type { BoxPlan } from "../configs/kit/types";
import type { ModelLock } from "../configs/models/facts";
import { parseStack, type RawStack } from "../configs/parse";
import { planBox } from "../configs/plan/box";
import { ownerOf } from "../configs/plan/owner";
import { saltFingerprint } from "../configs/secrets/facts";
import type { StackConfig } from "../configs/stack/config";
import { checkJoinedNetworks } from "../operations/up/foreignNetworks";
import { UserError } from "../platform/process";
import { standInForEngine } from "../platform/ssh/absentEngine";
import { connectHost } from "../platform/ssh/connection";
import { loadAssets } from "../platform/stack/assets";
import { readModelLock } from "../platform/stack/modelLock";
import { checkPlace } from "../platform/stack/owner";
import { readResolved } from "../platform/stack/resolved";
import { requireBuiltImages } from "./builtImages";

export interface Prepared {
  config: StackConfig;
  plan: BoxPlan;
  /** The model lock that the plan was made from. */
  lock: ModelLock;
}

/**
 * Everything before the first resource: parses the config, connects the host, checks that the box there belongs to this
 * stack, makes the plan, and checks that its images are available.
 *
 * @param secrets values by name
 * @param hostId the engine recorded in the stack's file
 * @throws ConfigError with every mistake of the config; UserError when the host is not ready for it
 */
export function prepared(
  projectDir: string,
  raw: RawStack,
  secrets: Record<string, string>,
  hostId: string | undefined,
): Prepared {
  const lock = readModelLock(projectDir);
  const config = parseStack({ ...raw, lock });
  const fingerprint = saltFingerprint(secrets.saltKey ?? "");
  const reached = reachHost(projectDir, config, () => {
    checkPlace(config, ownerOf(config.stack, fingerprint), hostId);
    checkJoinedNetworks(config);
  });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: fingerprint,
    resolved: readResolved(projectDir, raw.stack),
    assets: loadAssets(),
  });
  if (reached && !pulumi.runtime.isDryRun()) requireBuiltImages(plan);
  return { config, plan, lock };
}

/**
 * A preview compares with the state and needs no host. It warns when this machine cannot reach it. Returns whether it
 * did.
 */
function reachHost(projectDir: string, { stack, host }: StackConfig, then: () => void): boolean {
  try {
    connectHost(projectDir, { stack, host });
  } catch (error) {
    if (!pulumi.runtime.isDryRun() || !(error instanceof UserError)) throw error;
    pulumi.log.warn(`Preview without the host: ${error.message}`);
    standInForEngine(projectDir, stack);
    return false;
  }
  then();
  return true;
}

/** Pulumi shows a RunError without a stack trace, because these are mistakes in a config, not in the program. */
export function withoutStackTrace<Made>(make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    if (error instanceof ConfigError || error instanceof UserError) throw new pulumi.RunError(error.message);
    throw error;
  }
}
