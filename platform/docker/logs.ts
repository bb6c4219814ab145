import type { DockerClient } from "./client";

/** The most lines that are looked for behind a gap. Docker keeps far fewer with the box's own log settings. */
const MOST_LINES = 1 << 22;

export interface LogOptions {
  /** In Docker's notation: `15m`, or a date. */
  since: string;
  /** Timeout of each question in milliseconds. Default: none. */
  timeoutMs?: number;
}

/** A container's log as far as Docker can read it. */
export interface ReadLog {
  /** Both streams, each line with its time. */
  lines: string[];
  /**
   * Docker cannot read a part: after a power cut a log of the driver `json-file` may hold zeros, at which newer engines fail and
   * older ones end without a word. `tail`: how many of the last lines it can read. `after`: the time of the first of them.
   */
  gap?: { tail: number; after?: string };
}

/** Why a log cannot be read at all, in Docker's words. */
export class UnreadableLog extends Error {}

/**
 * Reads a container's log from a time on, also past a part that Docker cannot read.
 *
 * @throws UnreadableLog for a time that Docker does not understand, a container that is not there, or an engine that is silent
 */
export async function readLog(
  docker: DockerClient,
  container: string,
  { since, timeoutMs }: LogOptions,
): Promise<ReadLog> {
  const read = async (...more: string[]) => {
    const { code, stdout, stderr } = await docker.run(["logs", "--timestamps", ...more, container], {
      timeoutMs,
    });
    const said = `${stdout}\n${stderr}`.split("\n");
    const lines = said.filter((line) => TIME.test(line));
    return { code, lines, last: lastOf(lines), words: said.filter((line) => line && !TIME.test(line)) };
  };
  // Before the whole, which then holds it: a line that comes meanwhile is no sign of a gap.
  const newest = await read("--since", since, "--tail", "1");
  const whole = await read("--since", since);
  const damaged = whole.code !== 0 && whole.words.some((line) => DAMAGED.test(line));
  if (whole.code !== 0 && !damaged)
    throw new UnreadableLog(whole.words.at(-1) ?? `no answer of Docker's, exit code ${whole.code}`);
  if (!damaged && whole.last >= newest.last) return { lines: whole.lines };
  const reaches = async (tail: number) => {
    const { code, lines, last } = await read("--tail", String(tail));
    // 20.10 comes past the zeros at times, and loses lines behind them: then there are fewer than were asked for.
    const records = lines.join("\n").match(RECORD)?.length ?? 0;
    return code === 0 && records >= tail && last >= newest.last;
  };
  const tail = newest.last === "" ? 0 : await most(reaches);
  const behind = tail === 0 ? [] : (await read("--since", since, "--tail", String(tail))).lines;
  const [after] = timesOf(behind);
  return { lines: [...new Set([...whole.lines, ...behind])], gap: { tail, ...(after ? { after } : {}) } };
}

/** How a line begins with `--timestamps`. */
const TIME = /^\d{4}-\d\d-\d\dT\S+Z /;

/** How each record begins, of which a line longer than 16 KiB has several. */
const RECORD = /\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z /g;

/** Engines' words for a log that is no JSON from some byte on. */
const DAMAGED = /invalid character|unexpected EOF|error grabbing logs/i;

function lastOf(lines: string[]): string {
  return timesOf(lines).at(-1) ?? "";
}

/** Docker writes all times with nine digits after the second, so that they sort as text. */
function timesOf(lines: string[]): string[] {
  return lines.map((line) => line.slice(0, line.indexOf(" "))).sort();
}

/** The highest number for which `holds`, given that it holds for no higher one. */
async function most(holds: (count: number) => Promise<boolean>): Promise<number> {
  let good = 0;
  let bad = 1;
  while (bad <= MOST_LINES && (await holds(bad))) {
    good = bad;
    bad *= 2;
  }
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (await holds(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
