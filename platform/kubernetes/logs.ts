import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { type RunResult, run } from "../process";
import { type Cluster, clusterArguments } from "./kubectl";

/** A container whose log is read. */
export interface PodLog {
  pod: string;
  container: string;
  /** The log of the container before the one that runs, which its node keeps. Default: false. */
  previous?: boolean;
}

/** Milliseconds for a log that is read from its begin. */
const READ_MS = 120_000;

/**
 * Reads the log of a container in a pod: lines, each with its time. Never rejects.
 *
 * @param since an argument of {@link sinceArgument}
 */
export async function readPodLog(cluster: Cluster, log: PodLog, since: string): Promise<RunResult> {
  return run("kubectl", logArguments(cluster, log, since), { timeoutMs: READ_MS });
}

/** Follows the log of a container that runs, until it ends. */
export function followPodLog(
  cluster: Cluster,
  log: PodLog,
  since: string,
): ChildProcessByStdio<null, Readable, Readable> {
  const args = [...logArguments(cluster, log, since), "--follow"];
  return spawn("kubectl", args, { env: process.env, stdio: ["ignore", "pipe", "pipe"] });
}

function logArguments(cluster: Cluster, { pod, container, previous }: PodLog, since: string): string[] {
  return [
    ...clusterArguments(cluster),
    ...["logs", pod, "--container", container, "--timestamps", since],
    ...(previous ? ["--previous"] : []),
  ];
}

/** A length of time as both Docker and kubectl write it. */
const AGO = /^(\d+(\.\d+)?(h|m|s|ms))+$/;

/**
 * The argument by which kubectl takes a time in Docker's notation: `15m`, a date, seconds since 1970. Undefined for anything else.
 *
 * @example sinceArgument("2026-11-01"); // "--since-time=2026-11-01T00:00:00.000Z"
 */
export function sinceArgument(since: string): string | undefined {
  if (AGO.test(since)) return `--since=${since}`;
  const date = new Date(/^\d{9,}$/.test(since) ? Number(since) * 1000 : since);
  return Number.isNaN(date.getTime()) ? undefined : `--since-time=${date.toISOString()}`;
}

/** How a line begins on a node whose clock has a zone of its own. */
const ZONED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d:\d\d) /;

/** A log's line with its time in UTC. */
export function inUtc(line: string): string {
  const [begin, time, fraction = "", zone] = ZONED.exec(line) ?? [];
  if (begin === undefined) return line;
  const utc = new Date(`${time}${zone}`).toISOString().slice(0, 19);
  return `${utc}${fraction}Z ${line.slice(begin.length)}`;
}
