import { type Command, CommanderError } from "commander";
import { ConfigError } from "../configs/kit/problems";
import { visible } from "../configs/kit/visible";
import { UserError } from "../platform/process";
import { Cancelled } from "./ask";
import { inWords } from "./inWords";
import { jsonWanted, say } from "./output";

/** Exit code for a command line that cannot be parsed. A command that fails ends with 1. */
const USAGE_ERROR = 2;
/** Exit code after Ctrl-C, also at a question, as in shells. */
const INTERRUPTED = 130;

/** True once somebody has pressed Ctrl-C. */
let stopped = false;

/** What Ctrl-C does in place of that. */
let instead: (() => void) | undefined;

/**
 * From now on Ctrl-C calls `handle`, for a command that runs until then: it ends with exit code 0. Returns what takes that back.
 */
export function onInterrupt(handle: () => void): () => void {
  instead = handle;
  return () => {
    instead = undefined;
  };
}

/**
 * Runs a command line. Never rejects: a mistake ends with two lines, what is wrong and what to do, and only a defect of
 * gpubox itself shows a stack trace. Until the command's action has ended, the process can only end with a failure.
 *
 * @param words the command line after the program's name
 */
export async function runProgram(build: () => Promise<Command> | Command, words: string[]): Promise<void> {
  // Ctrl-C reaches Pulumi, Compose and Docker too, which finish their step. Leaving before them would leave a live lock.
  process.on("SIGINT", () => {
    if (instead) return instead();
    stopped = true;
    say("\nstopping after the running step");
  });
  // A reader that closes the pipe, such as `| head`, is no reason to leave work half done.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  process.on("beforeExit", refuseToEnd);
  try {
    await (await build()).parseAsync(words, { from: "user" });
  } catch (error) {
    report(error);
  } finally {
    process.off("beforeExit", refuseToEnd);
  }
}

/** Node ends a process, with 0, once nothing keeps it alive, also where an action still waits for what will never come. */
function refuseToEnd(code: number): void {
  if (code !== 0) return;
  report(
    new UserError(
      "The command ended before its work was done: something that it waited for went away without a word.",
      "Run it again. If it ends so again, `gpubox doctor` says what does not answer; the box is as the work left it.",
    ),
  );
}

function report(error: unknown): void {
  // Commander has printed its own message by now.
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
    return;
  }
  const { what, fix, defect } = inWords(error, stopped);
  if (jsonWanted()) console.log(JSON.stringify({ error: { what, fix } }));
  if (defect) console.error(error);
  else if (error instanceof ConfigError) console.error(`error: ${what}`);
  else console.error(`error: ${lines(what)}\n       ${lines(fix)}`);
  process.exitCode = stopped || error instanceof Cancelled ? INTERRUPTED : 1;
}

/** Words of a program or a file may have several lines. Anything else that moves the cursor is shown as text. */
function lines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}

/** Makes every command of the tree throw errors instead of ending the process. */
export function strict(one: Command): Command {
  one.exitOverride().showHelpAfterError("Add --help to see the usage.");
  for (const child of one.commands) strict(child);
  return one;
}
