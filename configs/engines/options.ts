/** An engine's table of options, and the command line and environment that come of it. */

import type { z } from "zod";
import type { Problem } from "../kit/problems";
import { givenFlags, knowing, ownerOf, type Parser } from "./spelling";

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

/** A row of an engine's table of options: flags of its command line, or variables of its environment. */
export interface Option {
  /** The flag or variable that gpubox writes. Absent for a key that becomes none. */
  flag?: string;
  /** Every name that sets the same thing, `flag` included. */
  names: string[];
  /** What the entry's key of the row's name may hold. Absent where the plan decides. */
  type?: z.ZodType;
  /**
   * The key of the entry that decides. Default: the row's own. An empty text: nobody may set it. `null`: `extraArgs` and
   * `env` may hold it too.
   */
  owner?: string | null;
}

/** A row for a key of the entry. `names` are words: the one that gpubox writes, then others that set the same thing. */
export function option<Type extends z.ZodType>(names: string, type: Type, owner?: null) {
  return { ...planned(names), type, owner };
}

/** A row for what the plan decides. */
export function planned(names: string, owner: string | null = null): Option & { flag: string } {
  const words = names.split(" ");
  return { flag: words[0]!, names: words, owner };
}

/** A row for a key of the entry that is no flag. `names`: flags that would set the same thing all the same. */
export function setting<Type extends z.ZodType>(
  type: Type,
  names = "",
): { names: string[]; type: Type; owner?: string } {
  return { names: names.split(" ").filter(Boolean), type };
}

type Keys<Options> = {
  [Key in keyof Options as Options[Key] extends { type: z.ZodType } ? Key : never]: Options[Key] extends {
    type: infer Type;
  }
    ? Type
    : never;
};

/** What the rows with a flag hold. What the plan decides has to have a value, if only undefined. */
type Values<Options, Type> = {
  [Key in keyof Options as Options[Key] extends { type: z.ZodType } ? never : Key]: Type;
} & {
  [Key in keyof Options as Options[Key] extends { flag: string; type: z.ZodType } ? Key : never]?: Type;
};

/** The keys that a table of options gives an entry. */
export function keysOf<const Options extends Record<string, Option>>(options: Options): Keys<Options> {
  const keys = Object.entries(options).flatMap(([key, { type }]) => (type ? [[key, type]] : []));
  return Object.fromEntries(keys) as Keys<Options>;
}

function written(options: Record<string, Option>, values: Record<string, Value | string[]>) {
  return Object.entries(options).flatMap(([key, { flag }]) =>
    flag === undefined ? [] : [{ flag, value: values[key] }],
  );
}

/** The command line of a table of options, in its order. */
export function commandOf<Options extends Record<string, Option>>(
  options: Options,
  values: Values<Options, Value | string[]>,
): string[] {
  return written(options, values).flatMap(({ flag, value }) => flags({ [flag]: value }));
}

/** The environment of a table of options, in its order. `true` is 1; `false` and undefined leave the variable out. */
export function environmentOf<Options extends Record<string, Option>>(
  options: Options,
  values: Values<Options, Value>,
): Record<string, string> {
  const variables = written(options, values).filter(({ value }) => value !== undefined && value !== false);
  return Object.fromEntries(variables.map(({ flag, value }) => [flag, value === true ? "1" : String(value)]));
}

/** The names that {@link checkExtraArgs} and {@link checkEnv} refuse: those of a table, and `nobodys`. */
export function ownedNames(options: Record<string, Option>, nobodys: string[] = []): Record<string, string> {
  const owned = Object.entries(options).flatMap(([key, { names, owner = key }]) =>
    owner === null ? [] : names.map((name) => [name, owner]),
  );
  return Object.fromEntries([...owned, ...nobodys.map((name) => [name, ""])]);
}

/**
 * Refuses flags in `extraArgs` that the plan sets: a second value would silently win, or break the health check.
 *
 * @param owned flag to the key that sets it; an empty text where nobody may
 * @param parser how the engine reads its command line. Default: flags as they are, and `--flag=value`
 */
export function checkExtraArgs(
  extraArgs: string[],
  owned: Record<string, string>,
  path: string,
  parser: Parser = {},
): Problem[] {
  return givenFlags(extraArgs, knowing(parser, Object.keys(owned))).flatMap(({ flag, as }) => {
    const owner = ownerOf(owned, flag);
    if (owner === undefined) return [];
    return [
      {
        path: `${path}.extraArgs`,
        what: `"${as}" is set by gpubox.`,
        fix: owner ? `Use the entry's own key for it: ${owner}.` : "Leave it out.",
      },
    ];
  });
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
