import { type Command, CommanderError } from "commander";
import { ConfigError } from "../configs/problems";
import { UserError } from "../runner/process";
import { json, say } from "./output";

/** Exit code for a command line that is not understood. What a command could not do ends with 1. */
const USAGE_ERROR = 2;

/**
 * Runs a command line. Never rejects: a mistake ends with two lines, what is wrong and what to do, and only a defect of
 * gpubox itself shows a stack trace.
 *
 * @param words the command line after the program's name
 */
export async function runProgram(build: () => Promise<Command> | Command, words: string[]): Promise<void> {
  // Ctrl-C reaches Pulumi, Compose and Docker too, which finish their step. Leaving before them would leave a live lock.
  process.on("SIGINT", () => say("\nstopping after the step that runs"));
  try {
    await (await build()).parseAsync(words, { from: "user" });
  } catch (error) {
    report(error);
  }
}

function report(error: unknown): void {
  // Commander has written its own words by now.
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
    return;
  }
  const { what, fix } = inWords(error);
  if (json()) console.log(JSON.stringify({ error: { what, fix } }));
  if (error instanceof UserError) console.error(`error: ${what}\n       ${fix}`);
  else if (error instanceof ConfigError) console.error(`error: ${what}`);
  else console.error(error);
  process.exitCode = 1;
}

/** An error as one sentence of what and one of what to do. */
function inWords(error: unknown): { what: string; fix: string } {
  if (error instanceof UserError) return error;
  if (error instanceof ConfigError) return { what: error.message, fix: "Correct the stack config." };
  return { what: String(error), fix: "This is a defect of gpubox: please report it with these lines." };
}

/** Errors are thrown instead of ending the process, in each command of the tree. */
export function strict(one: Command): Command {
  one.exitOverride().showHelpAfterError("Add --help to see how it is used.");
  for (const child of one.commands) strict(child);
  return one;
}
