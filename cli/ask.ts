import { UserError } from "../platform/process";
import { jsonWanted, say } from "./output";

/** Somebody pressed Ctrl-C or Escape at a question, before anything was done. */
export class Cancelled extends UserError {
  constructor() {
    super("Nothing was done.", "The question was cancelled; run the command again to answer it.");
  }
}

export interface WordAsked {
  /** What has to be typed. */
  word: string;
  /** What will happen, as a sentence. */
  loss: string;
  /** Short enough for one line. Default: asks for the stack's name. */
  question?: string;
  /** What is lost, where nobody is at the terminal. Default: "replaced". */
  fate?: "replaced" | "deleted";
  /** What to do where nobody is at the terminal. */
  instead: string;
}

/**
 * Asks a person to type a word before data goes.
 *
 * @throws UserError when another word was typed, and where nobody is at the terminal: says what to add instead
 * @throws Cancelled at Ctrl-C
 */
export async function askFor({ word, loss, question, fate = "replaced", instead }: WordAsked): Promise<void> {
  if (!process.stdin.isTTY) throw new UserError(`Nobody is here to confirm that data is ${fate}.`, instead);
  say(loss);
  const { text } = await import("@clack/prompts");
  const typed = answered(await text({ message: question ?? "Type the stack's name:", ...streams() }));
  // The prompt gives nothing at all for an empty answer.
  if (typed?.trim() !== word) throw new UserError("Nothing was done.", `"${word}" was not typed.`);
}

/**
 * Asks a person at the terminal to agree. The caller has made sure that there is one.
 *
 * @param initially what the Enter key alone means
 * @throws Cancelled at Ctrl-C
 */
export async function agrees(question: string, initially: boolean): Promise<boolean> {
  const { confirm } = await import("@clack/prompts");
  return answered(await confirm({ message: question, initialValue: initially, ...streams() }));
}

/**
 * Asks a person at the terminal for a secret, which is not shown. The caller has made sure that there is one.
 *
 * @throws Cancelled at Ctrl-C
 */
export async function secretText(question: string): Promise<string> {
  const { password } = await import("@clack/prompts");
  return answered(await password({ message: question, ...streams() })) ?? "";
}

function streams() {
  const output = jsonWanted() ? process.stderr : process.stdout;
  // A serial console and some pseudo-terminals do not know their width. The prompts would put each letter on a line.
  if (output.columns === 0) output.columns = 80;
  return { input: process.stdin, output };
}

function answered<Answer>(answer: Answer | symbol): Exclude<Answer, symbol> {
  if (typeof answer === "symbol") throw new Cancelled();
  return answer as Exclude<Answer, symbol>;
}
