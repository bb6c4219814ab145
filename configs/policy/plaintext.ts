import type { Violation } from "../kit/problems";
import { isSecretVariable } from "../litellm/callbacks";
import type { StackConfig } from "../stack/config";

/** Prefixes of providers' keys, and patterns that identify a key by themselves. */
const KEYS = [
  /^sk-[A-Za-z0-9_-]{16,}/,
  /^(gsk|hf|ghp|gho|ghs|glpat|xai|pplx|r8|nvapi)[_-][A-Za-z0-9_-]{16,}/,
  /^github_pat_\w{16,}/,
  /^xox[abprs]-[A-Za-z0-9-]{10,}/,
  /^AKIA[0-9A-Z]{16}$/,
  /^AIza[A-Za-z0-9_-]{30,}/,
  /^eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\./,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /:\/\/[^/\s:@]*:[^/\s@]+@/,
  /^Bearer\s+\S{12,}/,
];

/** Names of settings or flags whose values are secrets; not `maxTokens` or `tokenizer`. */
const NAMED = /(^|[^a-z])(api[-_]?key|secret|password|passwd|(access|auth|hf|hub)[-_]?token|bearer)$/i;

/** Shorter values are words: none, EMPTY, dummy. */
const SHORTEST = 12;

/** True for a text that looks like a key or password, whatever its setting is called. */
export function looksLikeSecret(text: string): boolean {
  return KEYS.some((pattern) => pattern.test(text));
}

/** Replaces a hidden value. */
const HIDDEN = "(hidden)";

/**
 * A config value that is safe to show: everything that looks like a secret is hidden, also inside a longer text. It hides more
 * than `no-plaintext-secrets` refuses, because that policy may be waived and hiding a harmless word does no damage.
 *
 * @param key the setting, variable or flag that the value belongs to, which may say that it is a secret
 */
export function withoutSecrets(value: unknown, key = ""): unknown {
  if (typeof value === "string") return textWithoutSecrets(value, key);
  if (Array.isArray(value))
    return value.map((inner, index) => withoutSecrets(inner, flagIn(value[index - 1])));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withoutSecrets(inner, name)]),
  );
}

/** The same, for a text. */
export function textWithoutSecrets(text: string, key = ""): string {
  const [, name, rest] = /^([\w-]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && rest !== undefined) return `${name}=${textWithoutSecrets(rest, name)}`;
  if (suspicious(key, text)) return HIDDEN;
  if (!/\s/.test(text)) return text.split(/["'`,;:=?&{}()[\]]+/).some(looksLikeSecret) ? HIDDEN : text;
  const words = text.split(/(\s+)/);
  return words
    .map((word, index) => {
      const before = (words[index - 2] ?? "").replace(/^["']+|[:"']+$/g, "");
      return index % 2 === 0 ? textWithoutSecrets(word, before) : word;
    })
    .join("");
}

/** Readable values of the stack config that look like secrets. Returns paths only, never a value. */
export function plaintextSecrets(config: StackConfig): Violation[] {
  const { stack: _, ownFiles: __, ...sections } = config;
  return findIn(sections, "gpubox:", "").map((path) => ({
    policy: "no-plaintext-secrets",
    path,
    what: "This value looks like a key or a password, and anybody who can read the config or the container can read it.",
    fix: "Put it into a secret of the stack and name it where the key takes { secret: name }; else take it out.",
  }));
}

function findIn(value: unknown, path: string, key: string): string[] {
  if (typeof value === "string") return suspicious(key, value) ? [path] : [];
  if (Array.isArray(value))
    return value.flatMap((inner, index) => findIn(inner, `${path}[${index}]`, flagIn(value[index - 1])));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "secret" ? [] : findIn(inner, path.endsWith(":") ? `${path}${name}` : `${path}.${name}`, name),
  );
}

/** A word of a command line, where it names the next one. */
function flagIn(word: unknown): string {
  return typeof word === "string" && word.startsWith("-") ? word : "";
}

/** True for a value that looks like a secret, or that its setting's name says to be one. */
export function suspicious(key: string, value: string): boolean {
  // `--api-key=value` is one word.
  const [, flag, rest] = /^(--?[\w-]+)=(.*)$/s.exec(value) ?? [];
  if (flag !== undefined && rest !== undefined) return suspicious(flag, rest);
  if (looksLikeSecret(value)) return true;
  // LiteLLM's own way to name a variable, a key of the stack config, and paths of files that hold the secret.
  if (value.length < SHORTEST || /^(os\.environ\/|gpubox:|\/|\$)|\s/.test(value)) return false;
  return NAMED.test(key) || isSecretVariable(key);
}
