import { ConfigError } from "../configs/problems";
import { UserError } from "../runner/process";

/**
 * Runs a verb of `npm run`. A mistake of the user ends it with exit code 1 and two lines, what is wrong and what to do;
 * only a defect of gpubox itself shows a stack trace.
 */
export function verb(action: () => Promise<void>): void {
  // Ctrl-C reaches Pulumi, Compose and Docker too, which finish their step; leaving before them would leave a live lock.
  process.on("SIGINT", () => say("\nstopping after the step that runs"));
  action().catch((error: unknown) => {
    if (error instanceof UserError) console.error(`error: ${error.what}\n       ${error.fix}`);
    else if (error instanceof ConfigError) console.error(`error: ${error.message}`);
    else if (isArgumentError(error)) console.error(`error: ${error.message}`);
    else console.error(error);
    process.exitCode = 1;
  });
}

/** A flag that the verb does not have, or a value that is missing. */
function isArgumentError(error: unknown): error is Error {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

/** One line to the terminal. */
export function say(line = ""): void {
  console.log(line);
}
