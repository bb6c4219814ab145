import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { lineSchema, type TrajectoryLine } from "./line";
import { findLogs, plainPath, readLines } from "./logs";
import { fits, type LineFilter } from "./pretty";

/** Milliseconds between two reads of a growing file. */
const LOOK_MS = 300;

/** The last `last` matching lines of logs, by time. @throws UserError when there is no log */
export async function linesOf(paths: string[], filter: LineFilter, last: number): Promise<TrajectoryLine[]> {
  const scratch = mkdtempSync(join(tmpdir(), "gpubox-trajectory-"));
  try {
    let found: TrajectoryLine[] = [];
    for (const file of findLogs(paths).flatMap(({ lines }) => lines)) {
      for await (const { text, whole } of readLines(plainPath(file, scratch))) {
        const line = whole ? parsed(text) : undefined;
        if (line && fits(line, filter)) found.push(line);
        if (found.length > 2 * last) found = newest(found, last);
      }
    }
    return newest(found, last);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Matching lines written from now on, until the process ends. */
export async function* newLines(paths: string[], filter: LineFilter): AsyncGenerator<TrajectoryLine> {
  const seen = new Map<string, number>();
  for (const path of growing(paths)) seen.set(path, statSync(path).size);
  for (;;) {
    for (const path of growing(paths)) {
      // A file that got shorter has been rotated: another file has its name now.
      const from = (seen.get(path) ?? 0) > statSync(path).size ? 0 : (seen.get(path) ?? 0);
      seen.set(path, from);
      for await (const { text, offset, bytes, whole } of readLines(path, from)) {
        if (!whole) break;
        seen.set(path, offset + bytes + 1);
        const line = parsed(text);
        if (line && fits(line, filter)) yield line;
      }
    }
    await sleep(LOOK_MS);
  }
}

function growing(paths: string[]): string[] {
  return findLogs(paths).flatMap(({ base, lines }) => lines.filter((path) => path === `${base}.jsonl`));
}

function newest(lines: TrajectoryLine[], last: number): TrajectoryLine[] {
  return lines
    .sort((a, b) =>
      a.started_at < b.started_at ? -1 : a.started_at > b.started_at ? 1 : a.attempt - b.attempt,
    )
    .slice(-last);
}

function parsed(text: string): TrajectoryLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
