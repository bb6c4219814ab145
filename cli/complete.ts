import type { Command, Option } from "commander";

/** A word that may be typed next. */
export interface Candidate {
  word: string;
  /** A short description; empty when the word says it all. */
  summary: string;
}

/** What only the project knows, by the name of an argument or an option: `stack`, `model`, `job`. */
export type Names = (kind: string, stack: string) => string[];

/** Names that need no quoting in a shell. Others are not offered. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._@/-]*$/;

/**
 * Possible completions for the last of `words`, from the program's own tree. None for a file or free text.
 *
 * @param words the command line after the program's name; the last one is being typed, and may be empty
 */
export function candidates(program: Command, words: readonly string[], names: Names): Candidate[] {
  // bash makes three words of --stack=dev.
  const last = words.at(-1) ?? "";
  const typed = last === "=" ? "" : last;
  const { at, open, operands, stack } = walk(program, words.slice(0, -1));
  return offered().filter(({ word }) => word.startsWith(typed));

  function offered(): Candidate[] {
    if (open) return bare(open.argChoices ?? names(open.attributeName(), stack));
    if (typed.startsWith("-")) return optionsOf(at);
    if (at.commands.length > 0)
      return at.commands.map((one) => ({ word: one.name(), summary: one.summary() || one.description() }));
    const { registeredArguments: all } = at;
    const argument = all[operands] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
    return argument ? bare(argument.argChoices ?? names(argument.name(), stack)) : [];
  }
}

/** The position in a command line. */
interface Place {
  at: Command;
  /** The option whose value comes next. */
  open?: Option;
  /** Operands of `at` so far. */
  operands: number;
  stack: string;
}

function walk(program: Command, words: readonly string[]): Place {
  const place: Place = { at: program, operands: 0, stack: "dev" };
  for (const word of words) {
    if (word === "=") continue;
    if (place.open) {
      if (place.open.long === "--stack") place.stack = word;
      place.open = undefined;
      continue;
    }
    const [flag, value] = word.split("=", 2);
    const option = [...place.at.options, ...program.options].find(
      ({ long, short }) => flag === long || flag === short,
    );
    if (option?.long === "--stack" && value !== undefined) place.stack = value;
    if (option && value === undefined && (option.required || option.optional)) place.open = option;
    if (word.startsWith("-")) continue;
    const child = place.at.commands.find((one) => one.name() === word);
    if (child) place.at = child;
    else place.operands += 1;
  }
  return place;
}

function optionsOf(at: Command): Candidate[] {
  const shown = at.options.filter(({ hidden }) => !hidden);
  const own = shown.map(({ long, short, description }) => ({
    word: long ?? short ?? "",
    summary: description,
  }));
  return [...own, { word: "--help", summary: "show how it is used" }];
}

function bare(words: readonly string[]): Candidate[] {
  return words.filter((word) => PLAIN.test(word)).map((word) => ({ word, summary: "" }));
}
