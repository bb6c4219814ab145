import type { CommandLine } from "../../configs/engines/engine";
import { type EntryFlags, entryOfFlags } from "../../configs/engines/fromFlags";
import { type GivenFlag, givenFlags, isFlag, knowing, type Parser } from "../../configs/engines/spelling";
import { isMap } from "../../configs/kit/maps";
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
  /** True: a flag that the pinned version has not goes to `extraArgs`, because the image may know it. */
  keepsUnknown?: boolean;
}

const OWN_KEY = "gpubox makes a key of its own between gateway and backends";

/** Reads a server's command line by its engine's own table. What has no key of its own goes to `extraArgs`. */
export function readCommand(command: Input, words: string[], reading: Reading): ReadCommand {
  const { options, parser, to, elsewhere, keepsUnknown = false } = reading;
  const names = Object.values(options).flatMap((option) => option.names);
  const known = knowing(parser, names);
  const { head, parts } = partsOf(words, known);
  const keyed = parts.map((part, index) => [keyOf(part, index, parts), part] as const);
  const input = command.as({
    ...(head.length > 0 ? { "(program)": head.join(" ") } : {}),
    ...Object.fromEntries(keyed.map(([key, { values }]) => [key, shownValue(values)])),
  });
  input.at("(program)")?.carry(`${to}.engine`);
  const entry: Entry = {};
  const extraArgs: string[] = [];
  const places = new Map<string, Input>();
  for (const [key, part] of keyed) {
    const place = input.at(key)!;
    const taken = [part.as, ...(part.given?.flag.names ?? [])].find((name) => Object.hasOwn(elsewhere, name));
    const { keys, extraArgs: more, unread } = entryOfPart(part, reading, known);
    const [own] = Object.keys(keys);
    if (taken !== undefined) place.carry(`${to}.${elsewhere[taken]}`);
    else if (/api[-_]key/.test(part.as)) place.lose(OWN_KEY);
    else if (parser.flags && !part.given && !keepsUnknown)
      place.lose("the version that gpubox runs has no such flag");
    else if (unread.length > 0) place.lose("its key does not take this value");
    else if (own !== undefined) {
      const earlier = places.get(own);
      if (!isMap(entry[own]) || !isMap(keys[own]))
        earlier?.drop("a later flag says the same: the last one counts");
      places.set(own, place);
      entry[own] = merged(entry[own], keys[own]);
      place.carry(`${to}.${own}`);
    } else {
      extraArgs.push(...more);
      place.carry(more.length > 0 ? `${to}.extraArgs.${part.as}` : to);
    }
  }
  return { head, entry: extraArgs.length > 0 ? { ...entry, extraArgs } : entry };
}

/** The words of a command line by flag. Words behind a flag are its values: none of these engines has others there. */
function partsOf(words: string[], parser: Parser): { head: string[]; parts: Part[] } {
  const head: string[] = [];
  const parts: Part[] = [];
  for (const word of words) {
    if (!isFlag(word)) {
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

/** What one flag says; by a path on the host where a mount brings the one inside and the key takes it. */
function entryOfPart({ words }: Part, { options, sourceOf }: Reading, parser: Parser): EntryFlags {
  const asWritten = entryOfFlags(words, options, parser);
  const onHost = entryOfFlags(
    words.map((word) =>
      word.replace(/(^|=)(\/.*)$/, (_, before: string, path: string) => before + (sourceOf(path) ?? path)),
    ),
    options,
    parser,
  );
  return Object.keys(onHost.keys).length > 0 ? onHost : asWritten;
}

/** Parts of one map may come as flags of their own. */
function merged(before: unknown, value: unknown): unknown {
  return isMap(before) && isMap(value) ? { ...before, ...value } : value;
}
