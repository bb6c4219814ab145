import { visible } from "../../configs/kit/visible";

/**
 * The only way in which a text gets into a comment on a pull request: one line, in which nothing that somebody wrote into a
 * config is a heading, a list, a link, a mention or HTML. What stands between backticks stays code.
 */
export function markdown(line: string): string {
  const parts = visible(line).split(/(`[^`]+`)/);
  const text = parts.map((part) => (/^`[^`]+`$/.test(part) ? part : escaped(part))).join("");
  // Two codes without anything between them would be one.
  return atStart(text.replaceAll("``", "`&#8203;`"));
}

/** A foreign value as code. Backticks are removed, because one would end it. */
export function code(text: string): string {
  const line = visible(text).replaceAll("`", "'");
  // Markdown has no code of spaces alone.
  return line.trim() === "" ? "`(empty)`" : `\`${line}\``;
}

/** Everything that means something in Markdown or HTML, or that GitHub makes a link of. */
function escaped(text: string): string {
  return text
    .replace(/[&<>@#[\]*_~|\\`$]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/:(?=\/\/)/g, "&#58;")
    .replace(/\b(www|gh)(?=[.-])/gi, (word) => `${word}&#8203;`);
}

/** At the start of a line a few more characters do: `- `, `+ `, `1. `, `===`. */
function atStart(line: string): string {
  return line
    .replace(/^(\s*)([-+=])/, (_, space: string, mark: string) => `${space}&#${mark.charCodeAt(0)};`)
    .replace(/^(\s*\d+)([.)])/, (_, digits: string, mark: string) => `${digits}&#${mark.charCodeAt(0)};`);
}
