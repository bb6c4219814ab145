import { visible } from "../../configs/kit/visible";

/**
 * The only way for a text to get into a pull request comment. The result is one line, in which nothing from a config
 * can become a heading, a list, a link, a mention or HTML. Text between backticks stays code.
 */
export function markdown(line: string): string {
  const parts = visible(line).split(/(`[^`]+`)/);
  const text = parts.map((part) => (/^`[^`]+`$/.test(part) ? part : escaped(part))).join("");
  // Two adjacent code spans would become one.
  return atStart(text.replaceAll("``", "`&#8203;`"));
}

/** A foreign value as code. Backticks would end the code, so they are replaced. */
export function code(text: string): string {
  const line = visible(text).replaceAll("`", "'");
  // Markdown has no code span of spaces alone.
  return line.trim() === "" ? "`(empty)`" : `\`${line}\``;
}

/** Escapes everything that means something in Markdown or HTML, and everything that GitHub turns into a link. */
function escaped(text: string): string {
  return text
    .replace(/[&<>@#[\]*_~|\\`$]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/:(?=\/\/)/g, "&#58;")
    .replace(/\b(www|gh)(?=[.-])/gi, (word) => `${word}&#8203;`);
}

/** At the start of a line more characters mean something: `- `, `+ `, `1. `, `===`. */
function atStart(line: string): string {
  return line
    .replace(/^(\s*)([-+=])/, (_, space: string, mark: string) => `${space}&#${mark.charCodeAt(0)};`)
    .replace(/^(\s*\d+)([.)])/, (_, digits: string, mark: string) => `${digits}&#${mark.charCodeAt(0)};`);
}
