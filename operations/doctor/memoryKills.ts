import type { BoxPlan } from "../../configs/kit/types";
import { runOnHost } from "../../platform/machine";
import type { MemoryKills } from "./facts";
import { ask, withTimeout } from "./timeLimits";

/** A process in a container that the kernel killed because memory ran out. */
export interface Kill {
  id: string;
  /** Seconds since 1970. */
  at: number;
  limit: "own" | "host";
}

/** Timeout in milliseconds for reading the kernel's log. */
const LOG_MS = 5_000;

/** A kill matters for this many seconds. */
const DAY = 24 * 3600;

/** The kernel's and Docker's times of one kill differ by less than this many seconds. */
const SAME_SECONDS = 3;

/** The log's times count from the kernel's start. */
const KERNEL_LOG = "date +%s && cat /proc/uptime && dmesg";

/**
 * Kills of the last day. Docker alone does not remember them: some versions clear a container's mark when it restarts,
 * and the engine keeps only 256 events, which the health checks of a box fill within a minute. The kernel's log names
 * the container by its id, which does not change.
 */
export async function memoryKills(box: BoxPlan): Promise<Kill[]> {
  const [kernel, docker] = await Promise.all([kernelKills(box), dockerKills(box)]);
  const more = docker.filter(
    ({ id, at }) => !kernel.some((one) => one.id === id && Math.abs(one.at - at) <= SAME_SECONDS),
  );
  return [...kernel, ...more];
}

/** If this user may not read the kernel's log, a container with that single capability reads it. */
async function kernelKills(box: BoxPlan): Promise<Kill[]> {
  const own = await withTimeout(
    LOG_MS,
    runOnHost(box.docker, KERNEL_LOG).catch(() => undefined),
  );
  if (own !== undefined) return parseKernelLog(own);
  const rights = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--cap-add", "SYSLOG"];
  const limits = ["--user", "0:0", "--memory", "64m", "--pids-limit", "16", "--pull", "never"];
  const command = ["--entrypoint", "sh", box.edge.container.image, "-c", KERNEL_LOG];
  const { code, stdout } = await ask(box, ["run", "--rm", ...rights, ...limits, ...command], LOG_MS);
  return code === 0 ? parseKernelLog(stdout) : [];
}

/** Reads the time, the seconds since the kernel's start, and the kernel's log. */
export function parseKernelLog(text: string): Kill[] {
  const [now = "", uptime = "", ...lines] = text.split("\n");
  const began = Number(now) - Number.parseFloat(uptime);
  if (!Number.isFinite(began)) return [];
  return lines.flatMap((line) => {
    const match = /^\[\s*(\d+\.\d+)\] oom-kill:(\S+?),task_memcg=\S*?([0-9a-f]{64})\b/.exec(line);
    if (!match) return [];
    const [, seconds, cause, id] = match;
    const limit = cause!.includes("CONSTRAINT_MEMCG") ? ("own" as const) : ("host" as const);
    return [{ id: id!, at: began + Number(seconds), limit }];
  });
}

async function dockerKills(box: BoxPlan): Promise<Kill[]> {
  const until = String(Math.floor(Date.now() / 1000));
  const { stdout } = await ask(box, [
    ...["events", "--since", "24h", "--until", until, "--format", "{{.Actor.ID}} {{.TimeNano}}"],
    ...["--filter", "event=oom", "--filter", `label=gpubox.stack=${box.stack}`],
  ]);
  return [...stdout.matchAll(/^([0-9a-f]{64}) (\d{16,})$/gm)].map(([, id, nano]) => ({
    id: id!,
    at: Number(nano) / 1e9,
    limit: "own" as const,
  }));
}

/** The state of a container when it was inspected. Times are seconds since 1970, and NaN where there is none. */
export interface Life {
  id: string;
  startedAt: number;
  endedAt: number;
  restarts: number;
  oomKilled: boolean;
}

/**
 * The kills that matter for a container as it runs now: those of its present run, and those before a restart by Docker.
 * A start by hand resets the restart count to 0, and earlier kills no longer matter.
 */
export function killsOf(life: Life, kills: Kill[], now: number): MemoryKills | undefined {
  const own = kills.filter(
    ({ id, at }) => id === life.id && now - at < DAY && (life.restarts > 0 || at >= life.startedAt),
  );
  const marked = life.oomKilled && life.restarts > 0 && now - life.endedAt < DAY;
  const all = own.length > 0 || !marked ? own : [{ at: life.endedAt, limit: "own" as const }];
  const [last] = [...all].sort((one, other) => other.at - one.at);
  return last && { count: all.length, lastAt: moment(last.at), limit: last.limit };
}

/** When it last ended before Docker started it again, as text; undefined if never or more than a day ago. */
export function endedOf({ restarts, endedAt }: Life, now: number): string | undefined {
  return restarts > 0 && now - endedAt < DAY ? moment(endedAt) : undefined;
}

/** `2026-11-28 22:16:58 UTC` */
export function moment(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
