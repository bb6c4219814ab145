import { isMap } from "../../configs/kit/maps";
import { cut, visible } from "../../configs/kit/visible";
import { textWithoutSecrets, withoutSecrets } from "../../configs/policy/plaintext";
import { sections } from "../../configs/stack/config";
import type { ConfigChange } from "./types";

/** Longest value to show, in characters. */
const LONGEST = 80;

type Values = Record<string, unknown>;

/**
 * The fields in which two values of a stack config differ. Compares lists of maps entry by entry, other lists as a
 * whole.
 *
 * @param path of both values: `gpubox:models.tiny`
 */
export function diffValues(before: unknown, after: unknown, path: string): ConfigChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isMap(before) && isMap(after) && !isReference(before) && !isReference(after))
    return keysOf(before, after).flatMap((key) => diffValues(before[key], after[key], `${path}.${key}`));
  if (isListOfMaps(before) && isListOfMaps(after))
    return Array.from({ length: Math.max(before.length, after.length) }, (_, index) =>
      diffValues(before[index], after[index], `${path}[${index}]`),
    ).flat();
  const key = path.slice(path.lastIndexOf(".") + 1);
  return [
    {
      path,
      ...(before === undefined ? {} : { before: shown(before, key) }),
      ...(after === undefined ? {} : { after: shown(after, key) }),
    },
  ];
}

/** Differences outside the models. Top-level keys that are no sections are secrets, of which only the names count. */
export function diffSettings(before: Values, after: Values): ConfigChange[] {
  return Object.keys(sections).flatMap((name) =>
    diffValues(before[name] ?? {}, after[name] ?? {}, `gpubox:${name}`),
  );
}

/**
 * A value on one line for a reviewer. It is cut when too long, and anything that looks like a secret is hidden.
 *
 * @param key the setting, variable or flag that it belongs to
 */
export function shown(value: unknown, key = ""): string {
  const text =
    typeof value === "string" ? textWithoutSecrets(value, key) : JSON.stringify(withoutSecrets(value, key));
  return cut(visible(text), LONGEST);
}

function keysOf(before: Values, after: Values): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
}

/** `{ secret: name }` is one value. */
function isReference(value: Values): boolean {
  return "secret" in value || "secure" in value;
}

function isListOfMaps(value: unknown): value is Values[] {
  return Array.isArray(value) && value.length > 0 && value.every(isMap);
}
