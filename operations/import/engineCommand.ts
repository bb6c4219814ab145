import type { z } from "zod";
import type { Option } from "../../configs/engines/container";
import type { CommandLine } from "../../configs/engines/engine";
import { type GivenFlag, givenFlags, knowing, type Parser } from "../../configs/engines/spelling";
import type { Entry } from "./draft";
import type { Input } from "./input";

/** A flag with the words that follow it. */
interface Part {
  given?: GivenFlag;
  /** The flag as it is written. */
  as: string;
  values: string[];
  /** All of it, as `extraArgs` takes it. */
  words: string[];
}

/** A word that is no value: a dash, and no number after it. */
const FLAG = /^-(?![\d.])/;

/** What a command line says. */
export interface ReadCommand {
  /** Words before the first flag. */
  head: string[];
  /** Keys of an entry. */
  entry: Entry;
}

/** How a command line is read for one entry. */
export interface Reading extends CommandLine {
  /** The entry's path in the stack config. */
  to: string;
  /** A value as a source of weights: `hf://…`, or `file://…` for a path that a mount brings. */
  sourceOf: (value: string) => string | undefined;
  /** Flags that are read elsewhere, or that gpubox always sets: flag to the entry's key. */
  elsewhere: Record<string, string>;
}

const OWN_KEY = "gpubox makes a key of its own between gateway and backends";

/** Reads a server's command line by its engine's own table. What has no key of its own goes to `extraArgs`. */
export function readCommand(command: Input, words: string[], reading: Reading): ReadCommand {
  const { options, parser, to, elsewhere } = reading;
  const names = Object.values(options).flatMap((option) => option.names);
  const { head, parts } = partsOf(words, knowing(parser, names));
  const keyed = parts.map((part, index) => [keyOf(part, index, parts), part] as const);
  const input = command.as({
    ...(head.length > 0 ? { "(program)": head.join(" ") } : {}),
    ...Object.fromEntries(keyed.map(([key, { values }]) => [key, shownValue(values)])),
  });
  input.at("(program)")?.carry(`${to}.engine`);
  const entry: Entry = {};
  const extraArgs: string[] = [];
  for (const [key, part] of keyed) {
    const place = input.at(key)!;
    const taken = [part.as, ...(part.given?.flag.names ?? [])].find((name) => Object.hasOwn(elsewhere, name));
    const row = rowOf(part, options);
    if (taken !== undefined) place.carry(`${to}.${elsewhere[taken]}`);
    else if (/api[-_]key/.test(part.as)) place.lose(OWN_KEY);
    else if (!row && parser.flags && !part.given) place.lose("the version that gpubox runs has no such flag");
    else if (!row || (row.option.owner === null && !row.option.type)) {
      extraArgs.push(...part.words);
      place.carry(`${to}.extraArgs.${part.as}`);
    } else if (!row.option.type || row.key === "model") place.carry(`${to}.${row.option.owner || row.key}`);
    else {
      const value = typed(row.option.type, part, reading.sourceOf);
      if (value === undefined) place.lose(`${row.key} does not take this value`);
      else {
        entry[row.key] = value;
        place.carry(`${to}.${row.key}`);
      }
    }
  }
  return { head, entry: extraArgs.length > 0 ? { ...entry, extraArgs } : entry };
}

/** The words of a command line by flag. Words behind a flag are its values: none of these engines has others there. */
function partsOf(words: string[], parser: Parser): { head: string[]; parts: Part[] } {
  const head: string[] = [];
  const parts: Part[] = [];
  for (const word of words) {
    if (!FLAG.test(word)) {
      const last = parts.at(-1);
      if (last) {
        last.values.push(word);
        last.words.push(word);
      } else head.push(word);
      continue;
    }
    const [given] = givenFlags([word], parser);
    const [as = word, ...rest] = word.split("=");
    const value = given?.value ?? (rest.length > 0 ? rest.join("=") : undefined);
    parts.push({ given, as: given?.as ?? as, values: value === undefined ? [] : [value], words: [word] });
  }
  return { head, parts };
}

function keyOf({ as }: Part, index: number, parts: Part[]): string {
  const before = parts.slice(0, index).filter((part) => part.as === as).length;
  return before === 0 ? as : `${as} (${before + 1})`;
}

function shownValue(values: string[]): unknown {
  return values.length === 0 ? true : values.length === 1 ? values[0] : values.join(" ");
}

function rowOf(
  { given, as }: Part,
  options: Record<string, Option>,
): { key: string; option: Option } | undefined {
  const names = given ? [...given.flag.names, ...(given.flag.negatives ?? [])] : [as];
  // A part of a flag's JSON is not the whole.
  if (given && given.keys.length > 0) return undefined;
  const found = Object.entries(options).filter(([, { names: own }]) =>
    own.some((name) => names.includes(name)),
  );
  const [key, option] = found.find(([, { type }]) => type) ?? found[0] ?? [];
  return key !== undefined && option ? { key, option } : undefined;
}

/** The first reading of a flag's words that its key takes. */
function typed(
  type: z.ZodType,
  { values, given }: Part,
  sourceOf: (value: string) => string | undefined,
): unknown {
  const readings =
    values.length === 0 ? [!given?.off, given?.off ? "off" : "on"] : [...readingsOf(values, sourceOf)];
  // A key without a word would be its default.
  return readings.find((reading) => reading !== undefined && type.safeParse(reading).success);
}

function* readingsOf(values: string[], sourceOf: (value: string) => string | undefined): Iterable<unknown> {
  const text = values.join(" ");
  yield text;
  const number = numberOf(text);
  if (number !== undefined) yield number;
  if (/^(true|false|1|0)$/i.test(text)) yield /^(true|1)$/i.test(text);
  yield json(text);
  yield sourceOf(text);
  const words = values.flatMap((value) => value.split(","));
  yield words.map((word) => sourceOf(word) ?? word);
  if (words.every((word) => word.includes("=")))
    yield Object.fromEntries(
      words.map((word) => {
        const end = word.indexOf("=");
        const value = word.slice(end + 1);
        return [word.slice(0, end), numberOf(value) ?? sourceOf(value) ?? value];
      }),
    );
}

/** vLLM reads `32k` as 32000 and `32K` as 32768. */
const UNITS: Record<string, number> = { "": 1, k: 1000, m: 1_000_000, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

function numberOf(text: string): number | undefined {
  const [, digits, unit = ""] = /^(-?\d+(?:\.\d+)?)([kmKMG]?)$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * UNITS[unit]!;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
