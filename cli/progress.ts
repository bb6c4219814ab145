import { stripVTControlCharacters } from "node:util";
import { showOutputTo, terminalIsLent } from "../platform/process";
import type { Report } from "../platform/progress";
import type { Log } from "../platform/project";
import { elapsed, type Meter, metered, stepText } from "./progressText";

/** Milliseconds of silence after which a person wonders whether anything still happens. */
const QUIET_MS = 2_000;

/** Milliseconds between two pictures. */
const FRAME_MS = 200;

/** Milliseconds between two lines about one step where there is no terminal. */
const LINE_MS = 30_000;

/** What Pulumi writes while nothing happens, one dot a second. */
const PULUMI_WAITS = /^@ \w+ing\.*$/;

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** The part of a terminal that progress needs. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/**
 * Runs long work. On a terminal a last line shows the step that runs: how much of it is done, how fast and for how long still,
 * or for how long nothing was said; the next line takes its place. Children that write to the terminal write above it. Without
 * a terminal a step that takes long adds a line each 30 s to what `log` prints.
 *
 * The picture waits while a child has the terminal for itself, and while somebody is asked. The line is drawn here and not by
 * @clack/prompts, whose spinner reads the keyboard: Ctrl-C would no longer reach Pulumi and Docker.
 */
export async function withProgress<Result>(
  log: Log,
  work: (log: Log, report: Report) => Promise<Result>,
  screen: Screen = process.stderr,
): Promise<Result> {
  if (!screen.isTTY || process.env.TERM === "dumb" || process.env.CI) return work(log, lineReport(log));
  const steps = new Map<string, Meter>();
  let part = "";
  let since = Date.now();
  let frame = 0;
  let drawn = false;
  const clear = () => {
    if (drawn) screen.write("\r\u001b[2K");
    drawn = false;
  };
  const picture = () => {
    const now = Date.now();
    const [first] = steps.values();
    const more = steps.size > 1 ? `  (and ${steps.size - 1} more)` : "";
    if (first) return `${stepText(first, now, true)}${more}`;
    return now - since < QUIET_MS ? undefined : `${part ? `${part}, ` : ""}${elapsed(now - since)}`;
  };
  const timer = setInterval(() => {
    if (terminalIsLent() || process.stdin.readableFlowing === true) {
      since = Date.now();
      return clear();
    }
    const text = picture();
    if (text === undefined) return clear();
    clear();
    screen.write(`${FRAMES[frame++ % FRAMES.length]} ${text}`.slice(0, (screen.columns || 80) - 1));
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
  const report: Report = (progress) => {
    since = Date.now();
    if (progress.ended) steps.delete(progress.what);
    else steps.set(progress.what, metered(steps.get(progress.what), progress, Date.now()));
  };
  const keepOutput = showOutputTo((line, stream) => {
    if (PULUMI_WAITS.test(stripVTControlCharacters(line))) return;
    clear();
    since = Date.now();
    if (stream === "stdout") log(line);
    else console.error(line);
  });
  try {
    return await work(said, report);
  } finally {
    keepOutput();
    clearInterval(timer);
    clear();
  }
}

/** Where nobody watches: a line about a step that takes long, now and then. */
function lineReport(log: Log): Report {
  const steps = new Map<string, { meter: Meter; said: number }>();
  return (progress) => {
    const { what, ended } = progress;
    const now = Date.now();
    const before = steps.get(what);
    if (ended) return void steps.delete(what);
    const step = { meter: metered(before?.meter, progress, now), said: before?.said ?? now };
    steps.set(what, step);
    if (now - step.said < LINE_MS) return;
    step.said = now;
    log(`  ${stepText(step.meter, now)}`);
  };
}
