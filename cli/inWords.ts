import { types } from "node:util";
import { ConfigError } from "../configs/kit/problems";
import { UserError } from "../platform/process";

export interface Told {
  /** One sentence: what is wrong. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
  /** True where gpubox itself is to blame: only then the place in its code helps anybody. */
  defect?: true;
}

/**
 * An error as one sentence of what and one of what to do.
 *
 * @param stopped somebody pressed Ctrl-C: children end in the middle of an answer, which is nobody's mistake
 */
export function inWords(error: unknown, stopped = false): Told {
  if (error instanceof UserError) return { what: error.what, fix: error.fix };
  if (error instanceof ConfigError) return { what: error.message, fix: "Correct the stack config." };
  if (stopped) return { what: "Stopped by Ctrl-C.", fix: "Run it again to go on." };
  if (isSystemError(error))
    return {
      what: `${error.message}.`,
      fix: "Look at that path or address: whether it is there, who may use it.",
    };
  return {
    what: String(error),
    fix: "This is a defect of gpubox: please report it with these lines.",
    defect: true,
  };
}

/** What the operating system refuses: a file that may not be read, a disk that is full, an address that nobody answers. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return types.isNativeError(error) && "syscall" in error && "code" in error;
}
