/** What the canned models of both formats have in common: the pieces of their texts, and matrices. */

import { UserError } from "../platform/process";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** What a canned model calls a tool with, as the families of Qwen write it between `<tool_call>` tags. */
export function callText(tool: string, args: { [key: string]: Json } = {}): string {
  return `\n${pythonJson({ name: tool, arguments: args })}\n`;
}

/** @throws UserError when a canned model is given arguments for no tool. */
export function refuseArgumentsAlone(options: { tool?: string; arguments?: { [key: string]: Json } }): void {
  if (options.arguments && !options.tool)
    throw new UserError(
      "The canned model got arguments without a tool.",
      "Name the tool, or leave them out.",
    );
}

/**
 * Splits a text at spaces into pieces that are longer than one byte and not in `taken`, and adds them to it: the texts
 * of a vocabulary are unique, and one-byte texts are taken by the bytes themselves.
 *
 * @param specials the vocabulary's special tokens, for the words of a refusal
 */
export function piecesOf(text: string, taken: Set<string>, specials: string[]): string[] {
  const pieces: string[] = [];
  let current = "";
  const keep = () => {
    pieces.push(current);
    taken.add(current);
    current = "";
  };
  // Whitespace as Python's `\s` has it, which differs from JavaScript's in five characters: the bytes have to agree.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: four of the five are control characters
  for (const [word] of text.matchAll(/[\p{White_Space}\x1c-\x1f]*[^\p{White_Space}\x1c-\x1f]+|.+/gsu)) {
    current += word;
    if (Buffer.byteLength(current) > 1 && !taken.has(current)) keep();
  }
  while (current) {
    const last = pieces.pop();
    if (last === undefined) break;
    taken.delete(last);
    current = last + current;
    if (!taken.has(current)) keep();
  }
  if (pieces.length === 0) {
    throw new UserError(
      `The canned model cannot answer ${JSON.stringify(text)}.`,
      `Give it at least two bytes that are not just one of ${specials.join(" ")}.`,
    );
  }
  return pieces;
}

/** JSON with Python's separators. Numbers are written as JavaScript does, which is Python's way for integers. */
function pythonJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}: ${pythonJson(member)}`,
  );
  return `{${members.join(", ")}}`;
}

/** The printable character by which byte-level BPE vocabularies name each of the 256 bytes. */
export function byteNames(): string[] {
  const isPlain = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let spare = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPlain(byte) ? byte : spare++));
}

/** Rows of 32-bit floats, all of them zero, and what sets one. */
export function matrix(rows: number, columns: number) {
  const data = Buffer.alloc(4 * rows * columns);
  const set = (row: number, column: number, value: number) =>
    data.writeFloatLE(value, 4 * (row * columns + column));
  return { data, set };
}

/** The next multiple of `unit`. */
export function padded(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}
