import type { Progress } from "../platform/progress";

/** Milliseconds of reports from which a rate is computed. */
const WINDOW_MS = 10_000;

/** Cells of a bar. */
const BAR = 20;

/** One step: its last report, and what is needed for a rate. */
export interface Meter {
  /** Milliseconds since the epoch, of the first report. */
  since: number;
  last: Progress;
  samples: { at: number; done: number }[];
}

/** What is known of a step after one more report. */
export function metered(before: Meter | undefined, progress: Progress, now: number): Meter {
  const { done } = progress;
  const samples = (before?.samples ?? []).filter(({ at }) => at >= now - WINDOW_MS);
  if (done !== undefined) samples.push({ at: now, done });
  return { since: before?.since ?? now, last: progress, samples };
}

/** Units a second; undefined as long as nothing can be said. */
function rateOf({ last, samples }: Meter): number | undefined {
  if (last.rate !== undefined) return last.rate > 0 ? last.rate : undefined;
  const [first] = samples;
  const newest = samples.at(-1);
  if (!first || !newest || newest.at === first.at || newest.done <= first.done) return undefined;
  return ((newest.done - first.done) / (newest.at - first.at)) * 1000;
}

/** A step as words: `edge: pulling  45 %  512 MB of 1.1 GB  23.1 MB/s  ETA 26 s`. */
export function stepText(meter: Meter, now: number, bar = false): string {
  const { what, done, total, unit, detail } = meter.last;
  const parts = [what];
  const known = done !== undefined && total !== undefined && total > 0;
  const part = known ? Math.min(Math.max(done / total, 0), 1) : 0;
  if (known && bar) parts.push("█".repeat(Math.round(part * BAR)).padEnd(BAR, "░"));
  if (known) parts.push(`${Math.floor(part * 100)} %`);
  if (done !== undefined && unit) parts.push(amount(done, total, unit));
  const rate = rateOf(meter);
  if (rate !== undefined && unit === "bytes") parts.push(`${bytes(rate)}/s`);
  if (rate !== undefined && known && done < total)
    parts.push(`ETA ${elapsed(((total - done) / rate) * 1000)}`);
  if (!known) parts.push(elapsed(now - meter.since));
  if (detail) parts.push(detail);
  return parts.join("  ");
}

function amount(done: number, total: number | undefined, unit: NonNullable<Progress["unit"]>): string {
  if (unit === "bytes") return total ? `${bytes(done)} of ${bytes(total)}` : bytes(done);
  if (unit === "requests") {
    const left = Math.max((total ?? done) - done, 0);
    return `${left} request${left === 1 ? "" : "s"} left`;
  }
  return total ? `${done} of ${total} steps` : `${done} steps`;
}

/** A size in decimal units, as registries and hubs write it. */
export function bytes(count: number): string {
  for (const [unit, size] of [
    ["TB", 1e12],
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const)
    if (count >= size) return `${(count / size).toFixed(1)} ${unit}`;
  return `${Math.round(count)} B`;
}

/** A time in words: `42 s`, `3 min 5 s`, `2 h 4 min`. */
export function elapsed(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
