import { nearest, type Problem } from "../kit/problems";
import type { SecretFacts } from "../secrets/facts";
import { generatedSecrets, sections } from "../stack/config";
import { whereItIs } from "./misplaced";

const SECTIONS = [...Object.keys(sections), "models"];
const KNOWN = [...SECTIONS, "target", "saltFingerprint", "hostId", "version"];

/**
 * Mistakes in the keys of the namespace itself: what is neither a section nor a secret is a typo or a secret in plaintext.
 * `unread`: the paths of sections that the config cannot be read for.
 */
export function checkTopKeys(
  values: Record<string, unknown>,
  secrets: SecretFacts,
): { problems: Problem[]; unread: string[] } {
  const encrypted = SECTIONS.filter((name) => Object.hasOwn(secrets, name));
  const unknown = Object.keys(values).filter((key) => !KNOWN.includes(key) && !Object.hasOwn(secrets, key));
  const meant = unknown
    .flatMap((key) => nearest(key, SECTIONS) ?? [])
    .filter((section) => !Object.hasOwn(values, section));
  return {
    problems: [...encrypted.map(encryptedSection), ...unknown.map(unknownKey)],
    unread: [...encrypted, ...meant].map((section) => `gpubox:${section}`),
  };
}

/** Pulumi hides a whole section when one value inside it is encrypted. */
function encryptedSection(name: string): Problem {
  return {
    path: `gpubox:${name}`,
    what: "A value inside this section is encrypted, which hides the whole section from the plan.",
    fix: "Set the secret at the top, pulumi config set --secret gpubox:someKey, and name it here: { secret: someKey }.",
  };
}

function unknownKey(key: string): Problem {
  const near = nearest(key, [...KNOWN, ...generatedSecrets]);
  const elsewhere = whereItIs(key, "gpubox:");
  const otherwise = elsewhere ? `In place of it, ${elsewhere}` : `Sections are: ${KNOWN.join(", ")}.`;
  const fix = near ? `Did you mean "gpubox:${near}"?` : otherwise;
  return { path: `gpubox:${key}`, what: `"${key}" is no section of a stack config.`, fix };
}
