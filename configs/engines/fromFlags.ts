import type { FileKind } from "./engine";
import { asSource } from "./files";
import type { Option } from "./options";
import { numbersOf } from "./said";
import { type GivenFlag, givenFlags, isFlag, jsonOf, type Parser, withValueAt } from "./spelling";

/** A command line as an entry says it. */
export interface EntryFlags {
  /** Values by the entry's own keys. */
  keys: Record<string, unknown>;
  /** What no key says, word for word. */
  extraArgs: string[];
  /** Flags that gpubox sets itself, without their values. */
  dropped: string[];
  /** Flags that have a key, with values that the key does not take. */
  unread: string[];
}

/**
 * Reads a command line of an engine into the keys of its entries.
 *
 * @param options the engine's table
 * @param parser how the engine reads its command line, with its flags
 * @example
 * entryOfFlags(["--max-model-len=4096", "--seed", "1"], options, parser)
 * // { keys: { maxModelLen: 4096 }, extraArgs: ["--seed", "1"], dropped: [], unread: [] }
 */
export function entryOfFlags(words: string[], options: Record<string, Option>, parser: Parser): EntryFlags {
  const entry: EntryFlags = { keys: {}, extraArgs: [], dropped: [], unread: [] };
  for (let at = 0; at < words.length; ) {
    const next = words.findIndex((word, index) => index > at && isFlag(word));
    const end = next < 0 ? words.length : next;
    take(entry, words.slice(at, end), options, parser);
    at = end;
  }
  return entry;
}

function take(entry: EntryFlags, words: string[], options: Record<string, Option>, parser: Parser): void {
  const [given] = givenFlags(words, parser);
  const rows = Object.entries(options).filter(([, { names }]) =>
    given?.flag.names.concat(given.flag.negatives ?? []).some((name) => names.includes(name)),
  );
  const [key, row] = rows.find(([, { type }]) => type) ?? rows[0] ?? [];
  if (!given || !row || !key) entry.extraArgs.push(...words);
  else if (row.type) {
    const value = readingOf(given, words.slice(1), entry.keys[key], row);
    if (value !== undefined) entry.keys[key] = value;
    else if (row.owner === null) entry.extraArgs.push(...words);
    else entry.unread.push(words.join(" "));
  } else if (row.owner === null) entry.extraArgs.push(...words);
  else entry.dropped.push(given.as);
}

/** The first reading of the words that the key takes. */
function readingOf(
  given: GivenFlag,
  words: string[],
  before: unknown,
  { type, file }: Option & { file?: FileKind },
): unknown {
  const { value, off, keys } = given;
  const readings =
    value === undefined
      ? [!off && !given.as.startsWith("--no-"), off ? "off" : "on"]
      : [
          ...(words.length > 1 ? [words] : []),
          jsonOf(value),
          value,
          ...unitOf(value),
          numbersOf(value),
          ...pairsOf(words, value),
          [value],
        ];
  // A dotted flag may have dashes where the JSON has underscores.
  const path = keys.map((key) => key.replaceAll("-", "_"));
  return readings
    .filter((reading) => reading !== undefined)
    .map((reading) => withValueAt(keys.length > 0 ? before : undefined, path, reading))
    .map((reading) => asSource(file, reading))
    .find((reading) => type?.safeParse(reading).success);
}

/** vLLM reads `32k` as 32000 and `32K` as 32768. */
const UNITS: Record<string, number> = { k: 1000, m: 1_000_000, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

function unitOf(text: string): number[] {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kmKMG])$/.exec(text) ?? [];
  return digits && unit ? [Number(digits) * UNITS[unit]!] : [];
}

/** `image=4,video=0`, or several words of `name=source`, as a map. */
function pairsOf(words: string[], value: string): Record<string, unknown>[] {
  const pairs = (words.length > 0 ? words : [value]).flatMap((word) => word.split(","));
  if (!pairs.every((pair) => /^[^=\s]+=/.test(pair))) return [];
  return [
    Object.fromEntries(
      pairs.map((pair) => {
        const end = pair.indexOf("=");
        const text = pair.slice(end + 1);
        return [pair.slice(0, end), jsonOf(text) ?? text];
      }),
    ),
  ];
}
