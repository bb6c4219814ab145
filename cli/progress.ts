import { terminalIsLent } from "../platform/process";
import type { Log } from "../platform/project";

/** Milliseconds of silence after which a person wonders whether anything still happens. */
const QUIET_MS = 2_000;

/** Milliseconds between two pictures. */
const FRAME_MS = 200;

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** The part of a terminal that progress needs. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/**
 * Runs long work. On a terminal a last line shows which part of it runs and for how long nothing was said, and the next line
 * takes its place. Without one, nothing is added to what `log` prints.
 *
 * The picture waits while a child has the terminal, such as Pulumi with its own, and while somebody is asked.
 */
export async function withProgress<Result>(
  log: Log,
  work: (log: Log) => Promise<Result>,
  screen: Screen = process.stderr,
): Promise<Result> {
  if (!screen.isTTY || process.env.TERM === "dumb" || process.env.CI) return work(log);
  let part = "";
  let since = Date.now();
  let frame = 0;
  let drawn = false;
  const clear = () => {
    if (drawn) screen.write("\r\u001b[2K");
    drawn = false;
  };
  const timer = setInterval(() => {
    if (terminalIsLent() || process.stdin.readableFlowing === true) {
      since = Date.now();
      return clear();
    }
    const quiet = Date.now() - since;
    if (quiet < QUIET_MS) return;
    const picture = `${FRAMES[frame++ % FRAMES.length]} ${part ? `${part}, ` : ""}${elapsed(quiet)}`;
    clear();
    screen.write(picture.slice(0, (screen.columns ?? 80) - 1));
    drawn = true;
  }, FRAME_MS);
  timer.unref();
  const said: Log = (line) => {
    clear();
    // What is indented belongs to the part that the last line at the margin names.
    if (/^\n?\S/.test(line)) part = line.trim();
    since = Date.now();
    log(line);
  };
  try {
    return await work(said);
  } finally {
    clearInterval(timer);
    clear();
  }
}

function elapsed(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
