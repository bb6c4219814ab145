/** The spellings that an engine's own parser takes for a flag of its command line. */

/** A flag by every name that it has. */
export interface KnownFlag {
  names: string[];
  /** Names that turn it off. */
  negatives?: string[];
  /** Variables of the environment that set the same. */
  env?: string[];
  /** How many values follow: a number, none or one (`?`), one or more (`+`), any number (`*`). Default: 1. */
  arity?: string;
  /** What a value is, where not every text is one: `int`, `float`. */
  type?: string;
  /** The values that exist. Default: any. */
  choices?: string[];
  /** Values taken besides. */
  words?: string[];
  /** One value holds several choices, with this between them. */
  separator?: string;
  /** Why the server ends at it. */
  removed?: string;
}

/** How an engine reads its command line. */
export interface Parser {
  /** Every flag of the pinned release. Default: none beside those that a table of options names. */
  flags?: KnownFlag[];
  /** `--ctx_size` is `--ctx-size`. */
  underscores?: boolean;
  /** `--max-model` is `--max-model-len`, where no other flag begins with it. */
  beginnings?: boolean;
  /** `-qfp8` is `-q fp8`. */
  joined?: boolean;
  /** A value is always a word of its own: `--flag=value` is no flag. */
  apart?: boolean;
  /** `--flag.key.key value` is a part of the JSON that `--flag` takes. */
  dotted?: boolean;
}

/** A flag as a command line gives it. */
export interface GivenFlag {
  flag: KnownFlag;
  /** As it is written, without its value: that may be a key. */
  as: string;
  /** True by one of the names that turn it off. */
  off: boolean;
  /** Keys of its JSON that the value is for. */
  keys: string[];
  value?: string;
}

/** True for a word that is no value: a dash, and no number after it. */
export function isFlag(word: string): boolean {
  return /^-(?![\d.])/.test(word);
}

/** A flag's value as JSON; undefined for a text that is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The map with the value at the path, as dotted flags set it. */
export function withValueAt(map: unknown, [key, ...rest]: string[], value: unknown): unknown {
  if (key === undefined) return value;
  const own = map && typeof map === "object" ? (map as Record<string, unknown>) : {};
  return { ...own, [key]: withValueAt(own[key], rest, value) };
}

/** The flags that words of a command line give, as the engine itself would read them. */
export function givenFlags(words: string[], parser: Parser): GivenFlag[] {
  return words.flatMap((word, index) => {
    const found = isFlag(word) ? readWord(word, parser) : undefined;
    if (!found) return [];
    const next = words[index + 1];
    return [found.value === undefined && next && !isFlag(next) ? { ...found, value: next } : found];
  });
}

function readWord(word: string, parser: Parser): GivenFlag | undefined {
  const { dotted = false, underscores = false } = parser;
  const end = word.indexOf("=");
  const as = end < 0 ? word : word.slice(0, end);
  const [written = "", ...keys] = dotted ? as.split(".") : [as];
  const name = underscores && written.startsWith("--") ? written.replaceAll("_", "-") : written;
  const value = end < 0 ? undefined : word.slice(end + 1);
  const flag = (parser.flags ?? []).find((one) => spellingsOf(one).includes(name));
  if (flag) return { flag, as, off: (flag.negatives ?? []).includes(name), keys, value };
  const found = { as, keys, value };
  return (
    (parser.joined ? joined(name, found, parser) : undefined) ??
    (parser.beginnings ? beginning(name, found, parser) : undefined)
  );
}

type Found = Pick<GivenFlag, "as" | "keys" | "value">;

function joined(name: string, found: Found, { flags = [] }: Parser): GivenFlag | undefined {
  const as = name.slice(0, 2);
  const flag = as === "--" ? undefined : flags.find(({ names }) => names.includes(as));
  return flag && { flag, as, off: false, keys: [], value: name.slice(2) || found.value };
}

function beginning(name: string, found: Found, { flags = [] }: Parser): GivenFlag | undefined {
  const meant = flags.filter((one) => spellingsOf(one).some((spelling) => spelling.startsWith(name)));
  const [flag] = meant;
  if (!flag || meant.length > 1) return undefined;
  return { ...found, flag, off: (flag.negatives ?? []).some((spelling) => spelling.startsWith(name)) };
}

function spellingsOf({ names, negatives = [] }: KnownFlag): string[] {
  return [...names, ...negatives];
}

/** The parser with these flags too, each with the one name, where it does not know them. */
export function knowing(parser: Parser, names: string[]): Parser {
  const { flags = [] } = parser;
  const known = new Set(flags.flatMap(spellingsOf));
  return {
    ...parser,
    flags: [...flags, ...names.filter((name) => !known.has(name)).map((name) => ({ names: [name] }))],
  };
}

/** What is said of the first of a flag's names that the record has. */
export function ownerOf(owned: Record<string, string>, flag: KnownFlag): string | undefined {
  const name = spellingsOf(flag).find((one) => Object.hasOwn(owned, one));
  return name === undefined ? undefined : owned[name];
}

/** The variables that set flags of the record. */
export function variablesOf(owned: Record<string, string>, { flags = [] }: Parser): string[] {
  return flags.filter((flag) => ownerOf(owned, flag) !== undefined).flatMap(({ env = [] }) => env);
}
