import { spawnSync } from "node:child_process";
import { packageDir } from "../../platform/project";

/** A piece of work like what is timed: a program starts and loads its code. */
const WORK = ["-e", 'require("typescript")'];
/** Milliseconds that it takes on a quiet core, of which {@link QUIET_CPU_MS} are its own: medians of CI's machine. */
const QUIET_MS = 300;
const QUIET_CPU_MS = 250;

/** The shorter of two times. */
function twice(timed: () => number): number {
  return Math.min(timed(), timed());
}

function wallMs(): number {
  const start = performance.now();
  spawnSync(process.execPath, WORK, { cwd: packageDir });
  return performance.now() - start;
}

/** CPU seconds of a program and what it starts. */
export function cpuSeconds(program: string, args: string[], cwd?: string): number {
  const { stdout } = spawnSync("sh", ["-c", `"$@" >/dev/null 2>&1; times`, "sh", program, ...args], {
    cwd,
    encoding: "utf8",
  });
  // The second line: user and system time of children, as 0m0.120s.
  const children = stdout.trim().split("\n").at(-1)!;
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
}

/**
 * A limit for how long something takes. It is given for a quiet machine. On a busy or slow one it grows by as much as a fixed
 * piece of work takes longer at this moment.
 */
export function allowance(limit: number): number {
  return limit * Math.max(1, twice(wallMs) / QUIET_MS);
}

/**
 * The same for a limit of CPU time, which other processes lengthen less.
 * @param taken what is compared with it: the machine is measured only where that is more than a quiet one needs
 */
export function cpuAllowance(limit: number, taken: number): number {
  if (taken < limit) return limit;
  const cpuMs = () => 1000 * cpuSeconds(process.execPath, WORK, packageDir);
  return limit * Math.max(1, twice(cpuMs) / QUIET_CPU_MS);
}
