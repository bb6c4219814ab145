import { withoutLeftOut } from "../configs/optionalModels";
import { parseStack } from "../configs/parse";
import { planBox } from "../configs/plan/box";
import type { BoxPlan, Resolved } from "../configs/plan/types";
import { generatedSecrets, type StackConfig } from "../configs/schema/stack";
import { saltFingerprint } from "../configs/secretFacts";
import { loadAssets } from "./assets";
import { encryptedNames, type Secrets } from "./secrets";
import { readStackFile } from "./stackConfig";

/**
 * Reports every mistake of a stack config before anything is installed, built or asked. Secrets are known by name only, and
 * those that `up` is about to make count as there.
 */
export function checkStackFile(projectDir: string, stack: string): StackConfig {
  const names = [...generatedSecrets, ...encryptedNames(projectDir, stack)];
  const standIns = Object.fromEntries(names.map((name) => [name, `sk-stands-in-for-${name}`]));
  return parseStack({ ...readStackFile(projectDir, stack, standIns), saltFingerprint: undefined });
}

/**
 * Parses a stack's file with its real secrets, without the optional models that lack theirs. Throws a `ConfigError` with
 * every mistake.
 */
export function readStack(projectDir: string, stack: string, secrets: Secrets): StackConfig {
  const raw = readStackFile(projectDir, stack, secrets);
  return withoutLeftOut(parseStack(raw), raw.secrets);
}

/** The plan that `pulumi up` would make of the stack's file. */
export function planStack(projectDir: string, stack: string, secrets: Secrets, resolved: Resolved): BoxPlan {
  const raw = readStackFile(projectDir, stack, secrets);
  return planBox({
    config: parseStack(raw),
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved,
    assets: loadAssets(projectDir),
  });
}
