import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../platform/process";
import { onInterrupt } from "./run";

/** The part of a terminal that a live picture needs. */
export interface WatchScreen {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  /** False once nobody reads any more. */
  writable: boolean;
  write(text: string): unknown;
}

/** A look as lines, and one that failed. */
export interface Pictures<Seen> {
  picture: (seen: Seen) => string[];
  trouble: (error: UserError) => string[];
}

/** A screen of its own without a cursor, and back to what the terminal showed before. */
const OPEN = "\u001b[?1049h\u001b[?25l";
const CLOSE = "\u001b[?25h\u001b[?1049l";

/** True where standard output is a terminal that shows pictures. */
export function drawsPictures(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/**
 * Looks again and again until Ctrl-C, and shows each look in place of the one before. What was seen last stays on the terminal.
 * Without a terminal each look is printed below the one before. A look that fails is said above the last one that did not; only the
 * first must not.
 *
 * @param seconds between two looks
 * @throws UserError when the first look fails
 */
export async function watch<Seen>(
  seconds: number,
  look: (signal: AbortSignal) => Promise<Seen>,
  { picture, trouble }: Pictures<Seen>,
  screen: WatchScreen = process.stdout,
): Promise<void> {
  const end = new AbortController();
  const stop = () => end.abort();
  const keepInterrupt = onInterrupt(stop);
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  const live = screen.isTTY === true && process.env.TERM !== "dumb";
  const stopped = new Promise<undefined>((resolve) => {
    end.signal.addEventListener("abort", () => resolve(undefined));
  });
  let shown: string[] = [];
  let open = false;
  const show = (lines: string[]) => {
    if (!live) return screen.write(`${lines.join("\n")}\n`);
    screen.write(`${open ? "" : OPEN}${frame(lines, screen)}`);
    open = true;
  };
  try {
    while (!end.signal.aborted && screen.writable) {
      const seen = await Promise.race([stopped, seenBy(look(end.signal), shown.length > 0)]);
      if (seen === undefined) break;
      if ("failed" in seen) show([...trouble(seen.failed), ...(live ? ["", ...shown] : [])]);
      else {
        shown = picture(seen.value);
        show(shown);
      }
      await sleep(seconds * 1000, undefined, { signal: end.signal }).catch(() => undefined);
    }
  } finally {
    keepInterrupt();
    for (const signal of ["SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
    if (open) screen.write(`${CLOSE}${shown.join("\n")}\n`);
  }
}

async function seenBy<Seen>(
  look: Promise<Seen>,
  mayFail: boolean,
): Promise<{ value: Seen } | { failed: UserError }> {
  try {
    return { value: await look };
  } catch (error) {
    if (mayFail && error instanceof UserError) return { failed: error };
    throw error;
  }
}

/** One picture over the one before, without an empty screen between them; the terminal shows it at once where it can. */
function frame(lines: string[], { columns = 80, rows = 24 }: WatchScreen): string {
  const fits = lines.slice(0, rows - 1).map((line) => `${[...line].slice(0, columns - 1).join("")}\u001b[K`);
  return `\u001b[?2026h\u001b[H${fits.join("\r\n")}\r\n\u001b[J\u001b[?2026l`;
}
