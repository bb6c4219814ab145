import { stripVTControlCharacters } from "node:util";

/** Characters that end a line, move the cursor, change colours or turn the direction of writing. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Untrusted text on one line, with invisible characters shown as escapes: a line break becomes `\n`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0)!.toString(16).padStart(4, "0");
    return NAMED[character] ?? `\\u{${code}}`;
  });
}

/** The first `most` characters of a text, followed by a mark that gives the number of the rest. */
export function cut(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  return `${characters.slice(0, most).join("")}… (${characters.length - most} more characters)`;
}

/** The last line with words of what a program wrote, without colours and with other invisible characters shown as escapes. */
export function lastLine(text: string): string {
  const lines = stripVTControlCharacters(text).split(/[\r\n]+/);
  return visible(lines.findLast((line) => /[\p{L}\p{N}]/u.test(line))?.trim() ?? "");
}
