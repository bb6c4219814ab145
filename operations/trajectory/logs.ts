import { spawnSync } from "node:child_process";
import {
  closeSync,
  createReadStream,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { UserError } from "../../platform/process";

/** The files of a gateway's successive processes: lines, counter, and the record of what is not on disk. */
export interface TrajectoryLog {
  /** Path without file endings. */
  base: string;
  /** In writing order, including compressed files. */
  lines: string[];
  counter: string[];
  gap: string;
}

const FILE = /^(.+?)(\.counter)?(\.(\d{6}))?\.jsonl(\.zst)?$/;

/**
 * The logs in folders and their subfolders.
 *
 * @throws UserError when a folder does not exist, cannot be read, or contains no log
 */
export function findLogs(paths: string[]): TrajectoryLog[] {
  const logs = new Map<string, TrajectoryLog>();
  for (const path of paths.flatMap(filesIn).sort()) {
    const [, base, counter] = FILE.exec(path) ?? [];
    if (!base) continue;
    const log = logs.get(base) ?? { base, lines: [], counter: [], gap: `${base}.gap` };
    logs.set(base, log);
    (counter ? log.counter : log.lines).push(path);
  }
  // Rotated files have a number before the file ending, and are older than the current file.
  for (const log of logs.values()) for (const files of [log.lines, log.counter]) files.sort(byNumber);
  const found = [...logs.values()].filter(({ counter }) => counter.length > 0);
  if (found.length === 0)
    throw new UserError(
      `There is no trajectory log in ${paths.join(", ")}.`,
      "Name a folder that contains one.",
    );
  return found;
}

function byNumber(a: string, b: string): number {
  const number = (path: string) => Number(FILE.exec(path)?.[4] ?? Number.POSITIVE_INFINITY);
  return number(a) === number(b) ? 0 : number(a) - number(b);
}

function filesIn(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) {
      // Any file of a log stands for the whole log.
      const base = FILE.exec(path)?.[1] ?? path;
      const folder = join(path, "..");
      return readdirSync(folder)
        .map((name) => join(folder, name))
        .filter((name) => FILE.exec(name)?.[1] === base);
    }
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      throw new UserError(`There is no ${path}.`, "Name the folder of a trajectory log.");
    if (code === "EACCES")
      throw new UserError(
        `${path} cannot be read.`,
        "Run it as root, or let one of your groups read it with gateway.trajectories.group.",
      );
    throw error;
  }
}

/** A line with its byte offset and its number, from 1. `whole` is false for a last line without a line feed. */
export interface PlacedLine {
  text: string;
  number: number;
  offset: number;
  bytes: number;
  whole: boolean;
}

/**
 * Lines of a file from a byte offset on. Only a line feed ends a line: readline would also split at U+2028, which JSON
 * may contain.
 */
export async function* readLines(path: string, from = 0): AsyncGenerator<PlacedLine> {
  let parts: Buffer[] = [];
  let offset = from;
  let number = 0;
  for await (const chunk of createReadStream(path, {
    start: from,
    highWaterMark: 1 << 20,
  }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      number++;
      yield { text: line.toString(), number, offset, bytes: line.length, whole: true };
      offset += line.length + 1;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
  }
  const rest = Buffer.concat(parts);
  if (rest.length > 0)
    yield { text: rest.toString(), number: number + 1, offset, bytes: rest.length, whole: false };
}

/** The text at a place that `readLines` returned. */
export function readAt(path: string, offset: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const file = openSync(path, "r");
  try {
    readSync(file, buffer, 0, bytes, offset);
  } finally {
    closeSync(file);
  }
  return buffer.toString();
}

/** A path that can be read at any byte: unpacks a compressed file into `scratch`, under a number of its own. */
export function plainPath(path: string, scratch: string): string {
  if (!path.endsWith(".zst")) return path;
  const plain = join(scratch, `${readdirSync(scratch).length}.jsonl`);
  const unpacked = spawnSync("zstd", ["--quiet", "--decompress", path, "-o", plain]);
  if (unpacked.error)
    throw new UserError(
      `${path} is compressed, and zstd is not installed here.`,
      "Install the package zstd.",
    );
  if (unpacked.status !== 0) {
    rmSync(plain, { force: true });
    throw new UserError(
      `${path} cannot be unpacked: ${unpacked.stderr.toString().trim()}`,
      "Check whether the file is damaged.",
    );
  }
  return plain;
}

/** Whether a log's process is alive, judged by the lock that it holds. */
export function isAlive({ gap }: TrajectoryLog): boolean | "unknown" {
  if (!existsSync(gap)) return false;
  // A shared lock, so that two simultaneous readers do not take each other for the process.
  const taken = spawnSync("flock", ["--shared", "--nonblock", "--conflict-exit-code", "75", gap, "true"]);
  if (taken.status === 75) return true;
  return taken.status === 0 ? false : "unknown";
}

/** What a process recorded about records that did not reach the disk; usually empty. */
export function readGap({ gap }: TrajectoryLog): string {
  return existsSync(gap) ? readFileSync(gap, "utf8").trim() : "";
}
