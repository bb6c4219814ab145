import type { Resolved } from "../../configs/kit/resolved";
import type { BoxPlan } from "../../configs/kit/types";
import type { ModelLock } from "../../configs/models/facts";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import type { PlanInput } from "../../configs/plan/context";
import { accessSchema } from "../../configs/schema/access";
import { saltFingerprint, standIn } from "../../configs/secrets/facts";
import { generatedSecrets, type StackConfig } from "../../configs/stack/config";
import { withoutLeftOut } from "../../configs/stack/optionalModels";
import { generatedKeys } from "../../configs/stack/requiredSecrets";
import { loadAssets } from "./assets";
import { readModelLock } from "./modelLock";
import { type Secrets, setNames } from "./secrets";
import { readStackFile } from "./stackConfig";

/**
 * Reports every mistake of a stack config before anything is installed, built or contacted. Knows secrets only by name;
 * those that `up` is about to make count as set.
 *
 * @param lock the models' lock; undefined for a check without it. Default: the project's
 * @param secrets further names that count as set
 * @param models further entries, checked as if the file had them
 */
export function checkStackFile(
  projectDir: string,
  stack: string,
  { lock, secrets = [], models = {} }: { lock?: ModelLock; secrets?: string[]; models?: object } = {
    lock: readModelLock(projectDir),
  },
): StackConfig {
  const declared = accessSchema.safeParse(readStackFile(projectDir, stack, {}).values.access ?? {});
  const made = [...generatedSecrets, ...(declared.success ? generatedKeys(declared.data) : [])];
  const names = [...made, ...setNames(projectDir, stack), ...secrets];
  const standIns = Object.fromEntries(names.map((name) => [name, standIn(name)]));
  const { values, ...raw } = readStackFile(projectDir, stack, standIns);
  const all = Object.keys(models).length > 0 ? { ...Object(values.models), ...models } : values.models;
  return parseStack({ ...raw, values: { ...values, models: all }, saltFingerprint: undefined, lock });
}

/**
 * Parses a stack's file with its real secrets, without the optional models that lack theirs.
 *
 * @throws ConfigError with every mistake
 */
export function readStack(projectDir: string, stack: string, secrets: Secrets): StackConfig {
  const raw = readStackFile(projectDir, stack, secrets);
  return withoutLeftOut(parseStack(raw), raw.secrets);
}

/**
 * The plan that `pulumi up` would make from the stack's file.
 *
 * @param target what it is for. Default: the target that the stack names
 */
export function planStack(
  projectDir: string,
  stack: string,
  secrets: Secrets,
  resolved: Resolved,
  target?: PlanInput["target"],
): BoxPlan {
  const raw = readStackFile(projectDir, stack, secrets);
  const lock = readModelLock(projectDir);
  return planBox({
    config: parseStack({ ...raw, lock }),
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(secrets.saltKey ?? ""),
    resolved,
    assets: loadAssets(),
    target,
  });
}

/** Names of all secrets that a stack's file refers to, set or not. */
export function namedSecrets(projectDir: string, stack: string): string[] {
  const names = (value: unknown): string[] =>
    value && typeof value === "object"
      ? Object.entries(value).flatMap(([key, inner]) =>
          key === "secret" && typeof inner === "string" ? [inner] : names(inner),
        )
      : [];
  return names(readStackFile(projectDir, stack, {}).values);
}
