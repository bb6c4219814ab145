import { z } from "zod";
import type { Draft } from "./draft";
import type { Input } from "./input";
import { pathText } from "./ledger";

/** Variables that the source's programs would see, by name. */
export type Variables = ReadonlyMap<string, string>;

const REFERENCE = /^os\.environ\/(.+)$/;

const word = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** A text, or a number or truth value that a program would read as one. */
export function textOf(input: Input | undefined): string | undefined {
  return input?.read(word);
}

/** The variable that a value of LiteLLM's config names; undefined for a value of its own. */
export function referenceOf(input: Input | undefined): string | undefined {
  return REFERENCE.exec(textOf(input) ?? "")?.[1];
}

/** A value, or that of the variable which it names; undefined where the variable is not set here. */
export function resolvedText(input: Input | undefined, variables: Variables): string | undefined {
  const reference = referenceOf(input);
  return reference ? variables.get(reference) : textOf(input);
}

/** What programs write where a server wants no key. */
export const NO_KEYS = [
  "",
  "none",
  "null",
  "no-key",
  "no_key",
  "nokey",
  "not-needed",
  "dummy",
  "empty",
  "fake",
  "na",
  "n/a",
  "fake-key",
  "sk-no-key-required",
  "ollama",
  "sk-none",
];

/**
 * A key as the stack config names it: a secret, or `none` for a word that only fills the place.
 *
 * @param wanted the secret's name, where the source has the value itself
 */
export function keyOf(input: Input, draft: Draft, variables: Variables, wanted: string) {
  const reference = referenceOf(input);
  if (reference) return variableSecret(reference, draft, variables);
  const value = textOf(input) ?? "";
  if (NO_KEYS.includes(value.toLowerCase())) return "none" as const;
  return draft.secret(wanted, { from: pathText(input.path), value });
}

/** The secret that stands for a variable. */
export function variableSecret(name: string, draft: Draft, variables: Variables): { secret: string } {
  return draft.secret(name, { from: `the variable ${name}`, value: variables.get(name) });
}

/** The texts of a map of variables. */
export function variablesIn(env: Input | undefined): Variables {
  const texts = (env?.children() ?? []).map((one) => [one.name, textOf(one)] as const);
  return new Map(texts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])));
}
