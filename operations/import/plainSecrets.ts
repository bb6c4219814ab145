/** Keys and passwords that stand in a source as plain text. */

import { isSecretVariable } from "../../configs/litellm/callbacks";
import { suspicious } from "../../configs/policy/plaintext";
import type { Input } from "./input";
import { NO_KEYS } from "./values";

/** Whether a variable's value has to be a secret, by its name. */
export function isSecret(name: string): boolean {
  return (
    isSecretVariable(name) ||
    /(KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS|DSN|DATABASE_URL|REDIS_URL|WEBHOOK_URL)/i.test(name) ||
    SECRET_KEY.test(name)
  );
}

/** Keys whose values are secrets, whatever they look like. */
const SECRET_KEY =
  /(^|[^a-z])(api[-_]?key|key|token|secret|password|passwd|passphrase|credentials?|authorization|auth[-_]value|cookie|dsn)$|(^|[^a-z]|my|db)(pass|pw|pwd)$/i;

/** Keys that end alike and name no secret. */
const NO_SECRET_KEY =
  /(public|cache|group|sort|partition)[-_]?key$|(eos|bos|pad|per|stop|unk|sep)[-_]token$/i;

/** Addresses that let whoever has them write to a channel. */
const HOOK =
  /^https:\/\/(hooks\.slack\.com|([\w-]+\.)?discord(app)?\.com\/api\/webhooks|[\w.-]+\.webhook\.office\.com)\//;

/** Whether a value of somebody's config is a secret in plain text: by what it looks like, or by its key, however short it is. */
export function isPlainSecret(key: string, value: unknown): value is string {
  if (typeof value !== "string" || value.startsWith("os.environ/")) return false;
  if (suspicious(key, value) || HOOK.test(value)) return true;
  const filler = NO_KEYS.includes(value.toLowerCase()) || /^(true|false|[\d.]+(e-?\d+)?)$/i.test(value);
  return !filler && SECRET_KEY.test(key) && !NO_SECRET_KEY.test(key);
}

/** Whether a value is a key in plain text. A list is one where it holds one itself. */
function isOne({ name, value }: Input): boolean {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  return values.some((one) => isPlainSecret(name, one));
}

/** The keys in plain text below a value. */
export function plainSecrets(input: Input): Input[] {
  return isOne(input) ? [input] : input.children().flatMap(plainSecrets);
}

/** The value without them; undefined where nothing is left. */
export function withoutSecrets(input: Input): unknown {
  if (isOne(input)) return undefined;
  if (typeof input.value !== "object" || input.value === null) return input.value;
  const kept = input.children().map((one) => [one.name, withoutSecrets(one)] as const);
  if (Array.isArray(input.value)) return kept.map(([, value]) => value ?? {});
  const left = kept.filter(([, value]) => value !== undefined);
  return left.length > 0 ? Object.fromEntries(left) : undefined;
}
