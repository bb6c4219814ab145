/** Words of `extraArgs` that an engine's own parser ends on: a flag without its value, a value without a flag, two words in one. */

import { nearest, type Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import type { OwnContainer } from "../schema/ownContainer";
import { engineOf, type ModelConfig } from "./index";
import { type GivenFlag, givenFlags, isFlag, type KnownFlag, type Parser } from "./spelling";
import { isOfRelease } from "./unknownFlags";

/** A word that no parser takes, without its text: that may be a key. */
interface Mistake {
  index: number;
  what: string;
  fix: string;
}

const SPLIT = "Write its flag before it, each word as one of the list, or leave it out.";

/** Choices that a refusal lists. More are named by the nearest. */
const MOST_CHOICES = 12;

/** Mistakes in an entry's `extraArgs`. Values are judged where the image is of the release whose flags gpubox knows. */
export function checkWords(model: ModelConfig & OwnContainer, path: string, host: HostConfig): Problem[] {
  const { commandLine, images } = engineOf(model);
  if (!commandLine || !("extraArgs" in model)) return [];
  const exact = isOfRelease(model, images?.(model, host)[0]);
  return mistakesIn(model.extraArgs, commandLine.parser, exact).map(({ index, ...said }) => ({
    path: `${path}.extraArgs[${index}]`,
    ...said,
  }));
}

/** @param exact false: another release may read what follows a flag in another way */
function mistakesIn(words: string[], parser: Parser, exact: boolean): Mistake[] {
  const found: Mistake[] = [];
  // True behind a flag of which nobody knows how many values it takes.
  let open = false;
  for (let at = 0; at < words.length; at++) {
    const index = at;
    const word = words[at]!;
    if (word === "--") break;
    if (!isFlag(word)) {
      if (!open) found.push({ index, what: "No flag before it takes this word.", fix: SPLIT });
      continue;
    }
    const joined = /^(--?[A-Za-z][\w.-]*)\s+\S/.exec(word)?.[1];
    if (joined !== undefined) {
      const what = `"${joined} …" is one word for the server, which has no such flag.`;
      found.push({ index, what, fix: `Write two words: "${joined}", then its value.` });
      open = true;
      continue;
    }
    const [given] = givenFlags([word], parser);
    open = !given || !exact;
    if (!given) continue;
    if (parser.apart && given.value !== undefined && word.includes("=")) {
      const fix = `Write two words: "${given.as}", then its value.`;
      found.push({ index, what: `The server takes no value behind the = of "${given.as}".`, fix });
    }
    if (!exact) continue;
    const values = valuesOf(given, words.slice(at + 1));
    if (given.value === undefined) at += values.length;
    const said = flawOf(given, values);
    if (said) found.push({ index, ...said });
  }
  return found;
}

/** The least and the most values that follow a flag as it is given. */
function countOf({ flag, off, keys }: GivenFlag): [least: number, most: number] {
  if (keys.length > 0) return [1, 1];
  if (off) return [0, 0];
  const { arity = "1" } = flag;
  if (arity === "?") return [0, 1];
  if (arity === "*") return [0, Number.POSITIVE_INFINITY];
  if (arity === "+") return [1, Number.POSITIVE_INFINITY];
  return [Number(arity), Number(arity)];
}

function valuesOf(given: GivenFlag, following: string[]): string[] {
  if (given.value !== undefined) return [given.value];
  const [, most] = countOf(given);
  const end = following.findIndex((word) => isFlag(word) && !/\s/.test(word));
  return following.slice(0, Math.min(most, end < 0 ? following.length : end));
}

function flawOf(given: GivenFlag, values: string[]): Omit<Mistake, "index"> | undefined {
  const { flag, as, keys } = given;
  const [least, most] = countOf(given);
  if (flag.removed !== undefined)
    return { what: `The server ends at "${as}": ${flag.removed}.`, fix: "Leave it out." };
  if (values.length < least)
    return { what: `"${as}" wants a value.`, fix: "Write its value as the next word of the list." };
  if (values.length > most)
    return { what: `"${as}" is a switch and takes no value.`, fix: `Write "${as}" alone.` };
  if (keys.length > 0) return undefined;
  const parts = values.flatMap((value) => (flag.separator ? value.split(flag.separator) : [value]));
  const wrong = parts.find((value) => !isTaken(value, flag));
  if (wrong === undefined) return undefined;
  const { choices } = flag;
  if (!choices)
    return {
      what: `The value of "${as}" is no number.`,
      fix: flag.type === "int" ? "Write a whole number." : "Write a number.",
    };
  const near = nearest(wrong, choices);
  return {
    what: `"${as}" does not take this value.`,
    fix: near && choices.length > MOST_CHOICES ? `Did you mean ${near}?` : `Use one of: ${listed(choices)}.`,
  };
}

function listed(choices: string[]): string {
  const more = choices.length - MOST_CHOICES;
  return more > 0 ? `${choices.slice(0, MOST_CHOICES).join(", ")}, and ${more} more` : choices.join(", ");
}

/** As Python's parsers read numbers, vLLM's `25k` and `4Gi` and its word for an absent value too. */
const NUMBERS = {
  int: /^([-+]?[\d_]+(\.\d+)?([kmgt]i?)?|none|)$/i,
  float: /^([-+]?([\d_]+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(inf|infinity|nan)|none|)$/i,
};

function isTaken(value: string, { choices, words = [], type }: KnownFlag): boolean {
  if (words.includes(value)) return true;
  if (choices) return choices.includes(value) || /^(none|)$/i.test(value);
  return type !== "int" && type !== "float" ? true : NUMBERS[type].test(value);
}
