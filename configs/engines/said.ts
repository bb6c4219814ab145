import type { z } from "zod";
import type { Problem } from "../kit/problems";
import type { Option } from "./options";
import {
  type GivenFlag,
  givenFlags,
  jsonOf,
  type KnownFlag,
  knowing,
  type Parser,
  withValueAt,
} from "./spelling";

/** What an entry has whose flags can be given in two ways. */
type Said = { extraArgs: string[]; env: Record<string, string> };

/** A key that `extraArgs` and `env` may say too. */
interface SharedKey {
  key: string;
  type: z.ZodType;
  given: GivenFlag[];
}

function sharedKeys({ extraArgs, env }: Said, options: Record<string, Option>, parser: Parser): SharedKey[] {
  const names = Object.values(options).flatMap((option) => option.names);
  const all = knowing(parser, names);
  const given = givenFlags(extraArgs, all);
  return Object.entries(options).flatMap(([key, { names, type, owner }]) => {
    if (owner !== null || !type) return [];
    const own = ({ names: known, negatives = [] }: KnownFlag) =>
      [...known, ...negatives].some((name) => names.includes(name));
    const words = given.filter(({ flag }) => own(flag));
    // A flag beats its variable.
    const found =
      words.length > 0 ? words : (all.flags ?? []).filter(own).flatMap((flag) => fromEnv(flag, env));
    return found.length > 0 ? [{ key, type, given: found }] : [];
  });
}

/** Whether a variable of the environment turns something on, as Python's servers read it. */
export function isTrue(value: string | undefined): boolean {
  return /^(1|true|yes)$/i.test(value ?? "");
}

function fromEnv(flag: KnownFlag, env: Record<string, string>): GivenFlag[] {
  return (flag.env ?? []).flatMap((name) => {
    const value = env[name];
    // LLAMA_ARG_NO_X turns x off, whatever it holds.
    const off = name.startsWith("LLAMA_ARG_NO_") || value === "0" || value === "false";
    return value === undefined ? [] : [{ flag, as: name, off, keys: [], value }];
  });
}

/** The entry with every key that its own `extraArgs` and `env` say in its place, as the engine will read them. */
export function withArgs<Model extends Said>(
  model: Model,
  options: Record<string, Option>,
  parser: Parser,
): Model {
  const said = sharedKeys(model, options, parser).flatMap(({ key, type, given }) => {
    const value = readingOf(type, given);
    return value === undefined || model[key as keyof Model] !== undefined ? [] : [[key, value]];
  });
  return { ...model, ...Object.fromEntries(said) };
}

/** Refuses a flag that a key of the entry writes already. */
export function checkTwice(
  model: Said & Record<string, unknown>,
  options: Record<string, Option>,
  parser: Parser,
  path: string,
): Problem[] {
  return sharedKeys(model, options, parser).flatMap(({ key, given }) =>
    model[key] === undefined
      ? []
      : [
          {
            path: `${path}.${key}`,
            what: `"${given[0]!.as}" says the same a second time.`,
            fix: `Leave one of the two out: ${key}, or "${given[0]!.as}".`,
          },
        ],
  );
}

/** The first reading of what is given that the key's type takes. */
function readingOf(type: z.ZodType, given: GivenFlag[]): unknown {
  const { off, value } = given.at(-1)!;
  const parts = given.filter(({ keys }) => keys.length > 0);
  const readings = [
    off ? false : undefined,
    parts.length > 0 ? merged(parts) : undefined,
    value === undefined ? undefined : jsonOf(value),
    value,
    given.flatMap((one) => one.value?.split(",") ?? []),
    numbersOf(value),
    true,
  ];
  return readings.find((reading) => reading !== undefined && type.safeParse(reading).success);
}

/** `3,1` or `3/1` as a list of numbers. */
export function numbersOf(text: string | undefined): number[] | undefined {
  return text !== undefined && /^[\d.]+([,/][\d.]+)+$/.test(text)
    ? text.split(/[,/]/).map(Number)
    : undefined;
}

/** `--flag.a.b 1 --flag.a.c 2` as the JSON that they make together. */
function merged(parts: GivenFlag[]): unknown {
  return parts.reduce<unknown>(
    (whole, { keys, value = "" }) => withValueAt(whole, keys, jsonOf(value) ?? value),
    {},
  );
}
