import { createInterface } from "node:readline/promises";
import { UserError } from "../platform/process";

/**
 * Asks a person to type a word before data goes.
 *
 * @throws UserError when another word was typed, and where nobody is at the terminal: says what to add instead
 */
export async function askFor(word: string, question: string, instead: string): Promise<void> {
  if (!process.stdin.isTTY) throw new UserError("Nobody is here to confirm that data is replaced.", instead);
  const reader = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await reader.question(question);
  reader.close();
  if (answer.trim() !== word) throw new UserError("Nothing was done.", `"${word}" was not typed.`);
}
