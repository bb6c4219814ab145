import type { Problem } from "../kit/problems";

type Value = string | number | boolean | undefined;

/**
 * Flags of a command line, in the order of the record. `true` is the bare flag; `false` and undefined leave it out; a list
 * gives the flag several words.
 */
export function flags(values: Record<string, Value | string[]>): string[] {
  return Object.entries(values).flatMap(([flag, value]) => {
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    return Array.isArray(value) ? (value.length > 0 ? [flag, ...value] : []) : [flag, String(value)];
  });
}

/** The flag of each key of an entry: keys are the engine's own names, `maxModelLen` for `--max-model-len`. */
export function flagsOf(shape: object): Record<string, string> {
  return Object.fromEntries(
    Object.keys(shape).map((key) => [
      `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      key,
    ]),
  );
}

/**
 * Refuses flags in `extraArgs` that the plan sets: a second value would silently win, or break the health check.
 *
 * @param owned flag to the key that sets it; an empty text where nobody may
 */
export function checkExtraArgs(extraArgs: string[], owned: Record<string, string>, path: string): Problem[] {
  return extraArgs
    .map((argument) => argument.split("=")[0] ?? "")
    .filter((flag) => Object.hasOwn(owned, flag))
    .map((flag) => ({
      path: `${path}.extraArgs`,
      // Without its value, which may be a key.
      what: `"${flag}" is set by gpubox.`,
      fix: owned[flag] ? `Use the entry's own key for it: ${owned[flag]}.` : "Leave it out.",
    }));
}

/** Refuses variables in `env` that the plan sets. */
export function checkEnv(env: Record<string, string>, owned: string[], path: string): Problem[] {
  return Object.keys(env)
    .filter((name) => owned.includes(name))
    .map((name) => ({
      path: `${path}.env.${name}`,
      what: `${name} is set by gpubox.`,
      fix: "Use the entry's own key for it, or leave it out.",
    }));
}
