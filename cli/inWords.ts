import { types } from "node:util";
import { ConfigError } from "../configs/kit/problems";
import { UserError } from "../platform/process";

export interface Told {
  /** One sentence: what is wrong. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
  /** True for a defect of gpubox itself: only then the place in its code helps anybody. */
  defect?: true;
}

/**
 * Puts an error into one sentence of what is wrong and one of what to do.
 *
 * @param stopped somebody pressed Ctrl-C: children end in the middle of an answer, which is nobody's mistake
 */
export function inWords(error: unknown, stopped = false): Told {
  if (error instanceof UserError) return { what: error.what, fix: error.fix };
  if (error instanceof ConfigError) return { what: error.message, fix: "Correct the stack config." };
  if (stopped) return { what: "Stopped by Ctrl-C.", fix: "Run it again to continue." };
  if (isSystemError(error))
    return {
      what: `${error.message}.`,
      fix: "Check that path or address: whether it exists, and who may use it.",
    };
  return {
    what: String(error),
    fix: "This is a defect of gpubox: please report it with these lines.",
    defect: true,
  };
}

/** Refusals by the operating system: a file that may not be read, a full disk, an address where nobody answers. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return types.isNativeError(error) && "syscall" in error && "code" in error;
}
