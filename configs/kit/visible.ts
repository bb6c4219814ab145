/** Characters that end a line, move the cursor, change colours or turn the direction of writing. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const NAMED: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text of somebody's on one line, with everything in it that a reader would not see: a line break is `\n`. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0)!.toString(16).padStart(4, "0");
    return NAMED[character] ?? `\\u{${code}}`;
  });
}

/** A text that is not longer than `most` characters but for the mark that says how much of it is missing. */
export function cut(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  return `${characters.slice(0, most).join("")}… (${characters.length - most} more characters)`;
}
