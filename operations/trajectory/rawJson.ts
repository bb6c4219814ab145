/**
 * The exact text of a value inside a JSON text. A hash needs it, because `JSON.parse` forgets how numbers and keys were
 * written. Undefined without such a value. The text must be valid JSON.
 */
export function rawValue(text: string, path: string[]): string | undefined {
  let at = skipSpace(text, 0);
  for (const key of path) {
    const found = member(text, at, key);
    if (found === undefined) return undefined;
    at = found;
  }
  return text.slice(at, valueEnd(text, at));
}

/** Start of a key's value in the object at `at`. The last duplicate counts, as in JSON.parse. */
function member(text: string, at: number, key: string): number | undefined {
  if (text[at] !== "{") return undefined;
  let found: number | undefined;
  let here = skipSpace(text, at + 1);
  while (text[here] === '"') {
    const end = stringEnd(text, here);
    const name = JSON.parse(text.slice(here, end)) as string;
    const value = skipSpace(text, skipSpace(text, end) + 1);
    if (name === key) found = value;
    here = skipSpace(text, valueEnd(text, value));
    if (text[here] === ",") here = skipSpace(text, here + 1);
  }
  return found;
}

function valueEnd(text: string, at: number): number {
  const first = text[at];
  if (first === '"') return stringEnd(text, at);
  if (first === "{" || first === "[") {
    let depth = 0;
    for (let here = at; here < text.length; here++) {
      const char = text[here];
      if (char === '"') here = stringEnd(text, here) - 1;
      else if (char === "{" || char === "[") depth++;
      else if ((char === "}" || char === "]") && --depth === 0) return here + 1;
    }
    return text.length;
  }
  let here = at;
  while (here < text.length && !" \t\n\r,}]".includes(text[here]!)) here++;
  return here;
}

/** The position after the closing quote. Jumps from quote to quote, because images are strings of megabytes. */
function stringEnd(text: string, at: number): number {
  let quote = text.indexOf('"', at + 1);
  while (quote !== -1) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
    quote = text.indexOf('"', quote + 1);
  }
  return text.length;
}

function skipSpace(text: string, at: number): number {
  let here = at;
  while (here < text.length && " \t\n\r".includes(text[here]!)) here++;
  return here;
}
