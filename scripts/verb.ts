import { ConfigError } from "../configs/problems";
import { UserError } from "../runner/process";

/**
 * Runs a verb of `npm run`. A mistake of the user ends it with exit code 1 and two lines, what is wrong and what to do;
 * only a defect of gpubox itself shows a stack trace.
 */
export function verb(action: () => Promise<void>): void {
  action().catch((error: unknown) => {
    if (error instanceof UserError) console.error(`error: ${error.what}\n       ${error.fix}`);
    else if (error instanceof ConfigError) console.error(`error: ${error.message}`);
    else console.error(error);
    process.exitCode = 1;
  });
}

/** One line to the terminal. */
export function say(line = ""): void {
  console.log(line);
}
