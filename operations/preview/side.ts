import { createHash } from "node:crypto";
import type { Resolved } from "../../configs/kit/resolved";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import type { Assets } from "../../configs/plan/context";
import { expandBoxes } from "../../configs/remotes/expand";
import { accessSchema } from "../../configs/schema/access";
import { saltFingerprint, standIn } from "../../configs/secrets/facts";
import { generatedSecrets } from "../../configs/stack/config";
import { secretsOf, withoutLeftOut } from "../../configs/stack/optionalModels";
import { generatedKeys } from "../../configs/stack/requiredSecrets";
import { readModelLock } from "../../platform/stack/modelLock";
import { encryptedTexts, setNames } from "../../platform/stack/secrets";
import { readStackFile } from "../../platform/stack/stackConfig";
import type { Side } from "./types";

/** A folder's box, planned without a secret, a state, a host or a network. */
export interface PlannedSide extends Side {
  /** Secrets that the config names but its file does not have. */
  unset: string[];
  /** Every secret that counts as set, with a stand-in for its value. Includes those that `up` makes. */
  standIns: Record<string, string>;
}

/**
 * Plans the box of a folder's `Pulumi.<stack>.yaml` and `models.lock.json`. Knows secrets by name and by their
 * encrypted text, which changes when one is set again.
 *
 * @throws ConfigError with every mistake of the config, UserError when a file is missing
 */
export function planSide(
  folder: string,
  stack: string,
  known: { resolved: Resolved; assets: Assets },
): PlannedSide {
  const { values: plain } = readStackFile(folder, stack, {});
  const encrypted = encryptedTexts(folder, stack);
  const access = accessSchema.safeParse(plain.access ?? {});
  const made: string[] = [...generatedSecrets, ...(access.success ? generatedKeys(access.data) : [])];
  const named = namedBy(plain);
  const set = setNames(folder, stack);
  const standIns = Object.fromEntries([
    ...[...made, ...named, ...set].map((name) => [name, standIn(name)]),
    ...Object.entries(encrypted).map(([name, text]) => [name, `${standIn(name)}-${digest(text)}`]),
  ]) as Record<string, string>;
  const raw = readStackFile(folder, stack, standIns);
  const lock = readModelLock(folder);
  const config = parseStack({ ...raw, saltFingerprint: undefined, lock });
  const plan = planBox({
    config,
    lock,
    secrets: raw.secrets,
    saltFingerprint: saltFingerprint(standIns.saltKey ?? ""),
    ...known,
  });
  return {
    values: expandBoxes({ ...raw, lock, boxFiles: raw.boxFiles ?? {} }).values,
    config: withoutLeftOut(config, raw.secrets),
    plan,
    lock,
    resolved: known.resolved,
    secrets: Object.fromEntries(Object.entries(raw.secrets).filter(([name]) => name in encrypted)),
    standIns,
    unset: [...new Set(named)].filter((name) => !set.includes(name) && !made.includes(name)),
  };
}

/** Secrets that the config needs. An optional model whose secret is not set is left out, as `up` does. */
function namedBy({ models, ...sections }: Record<string, unknown>): string[] {
  const entries = typeof models === "object" && models !== null ? Object.values(models) : [];
  const required = entries.filter((entry) => (entry as { optional?: unknown } | null)?.optional !== true);
  return secretsOf([sections, required]).map(({ name }) => name);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
