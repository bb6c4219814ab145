import { InvalidArgumentError } from "commander";

/** Reads an option's value as a whole number of at least 1. */
export function countNumber(text: string): number {
  return wholeNumber(text, 1, Number.MAX_SAFE_INTEGER, "Write a whole number above 0.");
}

/** Reads an option's value as whole numbers of at least 1, with commas between them. */
export function countNumbers(text: string): number[] {
  return text.split(",").map((word) => countNumber(word.trim()));
}

/** Reads an option's value as a port. */
export function portNumber(text: string): number {
  return wholeNumber(text, 1, 65_535, "Write a number from 1 to 65535.");
}

/** Reads an option's value as seconds, at least half a one and at most an hour. */
export function secondsNumber(text: string): number {
  const number = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && number >= 0.5 && number <= 3600) return number;
  throw new InvalidArgumentError("Write seconds from 0.5 to 3600.");
}

function wholeNumber(text: string, least: number, most: number, fix: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new InvalidArgumentError(fix);
}
