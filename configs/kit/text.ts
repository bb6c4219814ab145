import { createHash, createHmac } from "node:crypto";
import type { SecretFacts } from "../secrets/facts";

/** A piece of a file's text: literal, or a secret by name that is put in only when the file is written. */
export type TextPart = string | SecretPart;

/** How a secret's value is written into a file, so that no character of it can break out of its place. */
export type SecretEncoding =
  /** as it is */
  | "raw"
  /** one single-quoted word of POSIX sh */
  | "shell"
  /** one double-quoted word of redis.conf */
  | "redis"
  /** percent-encoded, for the user info of a URL inside single quotes */
  | "url"
  /** a token that is derived from it and says nothing about it, as a single-quoted word of POSIX sh */
  | "shell-derived"
  /** the same token as it is: 64 hex digits */
  | "derived"
  /** a JSON string, with its quotes */
  | "json"
  /** a part of a secret that is a URL, as a single-quoted word of POSIX sh */
  | "shell-url-hostname"
  | "shell-url-port"
  | "shell-url-username"
  | "shell-url-password"
  /** the number of a Redis database, 0 where the address names none */
  | "shell-url-database"
  /** true where the address begins with rediss://, else an empty word */
  | "shell-url-tls";

export interface SecretPart {
  /** Name of the secret in the stack's config, without the `gpubox:` prefix. */
  secret: string;
  as: SecretEncoding;
  /** With `derived`: what the token is for; each purpose has its own. Default: what backends and drains ask for. */
  purpose?: string;
}

export interface FilePlan {
  /** The text's parts in order. */
  text: TextPart[];
  /** Octal mode as `install -m` takes it. */
  mode: "0640" | "0750";
}

/** A directory on the host, owned by root and readable by one group only: that of the container that mounts it. */
export interface DirectoryPlan {
  /** Absolute path on the host. */
  path: string;
  /** Numeric group of the container that reads it. */
  gid: number;
  /** File name to file. */
  files: Record<string, FilePlan>;
  /** Hash over names, modes, texts and the fingerprints of the secrets in them. */
  hash: string;
  /** The same over those of its files alone that hold a secret; absent where none does. */
  secretHash?: string;
}

/** Secret name to value. Exists only where files are written. */
export type SecretValues = Record<string, string>;

/** A file's final text. Throws when a secret is missing, which `parseStack` has ruled out. */
export function renderText(text: TextPart[], values: SecretValues): string {
  return text
    .map((part) => {
      if (typeof part === "string") return part;
      const value = values[part.secret];
      if (value === undefined) throw new Error(`secret ${part.secret} is missing`);
      return encode(value, part);
    })
    .join("");
}

function encode(value: string, { as, purpose }: SecretPart): string {
  switch (as) {
    case "raw":
      return value;
    case "shell":
      return shellQuote(value);
    case "redis":
      return `"${value.replace(/[\\"]/g, "\\$&")}"`;
    case "url":
      return urlEncode(value);
    case "json":
      return JSON.stringify(value);
    case "derived":
      return derivedToken(value, purpose);
    case "shell-derived":
      return shellQuote(derivedToken(value, purpose));
    case "shell-url-hostname":
      return shellQuote(new URL(value).hostname);
    case "shell-url-port":
      return shellQuote(new URL(value).port || "6379");
    case "shell-url-username":
      return shellQuote(decodeURIComponent(new URL(value).username));
    case "shell-url-password":
      return shellQuote(decodeURIComponent(new URL(value).password));
    case "shell-url-database":
      return shellQuote(new URL(value).pathname.slice(1) || "0");
    case "shell-url-tls":
      return shellQuote(new URL(value).protocol === "rediss:" ? "true" : "");
  }
}

function derivedToken(secret: string, purpose?: string): string {
  const what = purpose ? `gpubox derived token for ${purpose}` : "gpubox derived token";
  return createHmac("sha256", secret).update(what).digest("hex");
}

/** One word of POSIX sh, whatever it holds. */
export function shellQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A word as a person types it into a shell: quoted only where the shell would take it for a pattern. */
export function typed(word: string): string {
  return /^[A-Za-z0-9._:/@+-]+$/.test(word) ? word : shellQuote(word);
}

function urlEncode(value: string): string {
  return encodeURIComponent(value).replaceAll("'", "%27");
}

/** Hash of plain data, independent of the order of object keys: 12 hex digits. */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(stableJson(value)).digest("hex").slice(0, 12);
}

/** JSON with sorted object keys; keys without a value are left out. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** A directory plan with the hash of what its files will hold. */
export function directory(
  path: string,
  gid: number,
  files: Record<string, FilePlan>,
  secrets: SecretFacts,
): DirectoryPlan {
  const known = Object.entries(files).map(([name, file]) => [
    name,
    file.mode,
    file.text.map((part) =>
      typeof part === "string" ? part : { ...part, fingerprint: secrets[part.secret]?.fingerprint },
    ),
  ]);
  const secret = known.filter((_, index) => holdsSecret(Object.values(files)[index]!));
  return {
    ...{ path, gid, files, hash: hashOf({ gid, known }) },
    ...(secret.length > 0 ? { secretHash: hashOf({ gid, known: secret }) } : {}),
  };
}

/** Whether a file's text needs the value of a secret. */
export function holdsSecret({ text }: FilePlan): boolean {
  return text.some((part) => typeof part !== "string");
}

/** A configuration file: read by the container's group, never executed. */
export function configFile(...text: TextPart[]): FilePlan {
  return { text, mode: "0640" };
}

/** `NAME='value'` lines that POSIX sh sources: the env files of the box. */
export function envFile(variables: Record<string, TextPart[]>): FilePlan {
  const lines = Object.entries(variables).flatMap(([name, value]) => [`${name}=`, ...value, "\n"]);
  return configFile(...lines);
}
