import { createHash, createHmac } from "node:crypto";
import { type PemFacts, pemFacts } from "./pem";
import { type AddressOf, unfitAddress } from "./storeUrl";

/** What the plan may know about a secret: that it exists, and a fingerprint that changes with its value. */
export interface SecretFact {
  /** Keyed with the salt key, so that it says nothing about the value to somebody without it. 12 hex digits. */
  fingerprint: string;
  /** False: the value stands in plaintext in the stack config. */
  encrypted: boolean;
  /** Why the value cannot be used, if it cannot. */
  flaw?: string;
  /** Why LiteLLM would not take the value as a virtual key, if it would not. */
  unfitAsKey?: string;
  /** Name of another secret that has the same value. */
  sameAs?: string;
  /** What is public of a certificate or a key, where the value is one. */
  pem?: PemFacts;
  /** Why the value is no address of a Redis, a Postgres or a webhook that arrives whole; keys are those of `AddressOf`. */
  unfitAs?: Partial<Record<AddressOf, string>>;
  /** True: the value is not known yet, only that it is there. */
  standIn?: true;
}

/** Secret name to what is known of it. */
export type SecretFacts = Record<string, SecretFact>;

/** Fingerprint of the salt key that lies beside the database's volume: 16 hex digits of its SHA-256. */
export function saltFingerprint(salt: string): string {
  return createHash("sha256").update(`gpubox salt ${salt}`).digest("hex").slice(0, 16);
}

/** A value for a secret that is known by its name only. */
export function standIn(name: string): string {
  return `${STANDS_IN}${name}`;
}

const STANDS_IN = "sk-stands-in-for-";

/**
 * Reduces secret values to facts. The only function of `configs/` that sees values; it returns none.
 *
 * @param values secret name to value
 * @param encrypted whether a name's value is stored encrypted
 */
export function secretFacts(
  values: Record<string, string>,
  encrypted: (name: string) => boolean,
): SecretFacts {
  const key = values.saltKey ?? "";
  const facts: SecretFacts = {};
  for (const [name, value] of Object.entries(values)) {
    const fingerprint = createHmac("sha256", key).update(`${name}\n${value}`).digest("hex").slice(0, 12);
    const same = Object.keys(values).find((other) => other !== name && values[other] === value);
    facts[name] = {
      fingerprint,
      encrypted: encrypted(name),
      flaw: flaw(name, value),
      unfitAsKey: unfitAsKey(value),
      sameAs: same,
      ...(value.includes("-----BEGIN ") ? { pem: pemFacts(value) } : {}),
      ...(value.startsWith(STANDS_IN) ? { standIn: true } : { unfitAs: unfitAddress(value) }),
    };
  }
  return facts;
}

/** LiteLLM accepts keys of 16 characters. Keys that travel over the network should be harder to guess. */
function unfitAsKey(value: string): string | undefined {
  if (!value.startsWith("sk-")) return "does not start with sk-";
  if (value.length < 20) return "is shorter than 20 characters";
  return undefined;
}

function flaw(name: string, value: string): string | undefined {
  if (value === "") return "is empty";
  if (/\p{Cc}/u.test(value)) return "holds a line break or another control character";
  if (name === "masterKey" && !value.startsWith("sk-")) return unfitAsKey(value);
  // LiteLLM refuses its own documentation's example; short keys can be guessed through the open port.
  if (["masterKey", "saltKey"].includes(name) && value.length < 20) return "is shorter than 20 characters";
  return undefined;
}
