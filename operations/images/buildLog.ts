import { existsSync, readFileSync } from "node:fs";
import { cut, lastLine } from "../../configs/kit/visible";
import type { Progress } from "../../platform/progress";

/** Milliseconds between two looks at a build's log. */
const LOOK_MS = 1_000;

/** Characters of a build's last line that are shown. pip names a hundred packages on one. */
const SHOWN = 100;

/** How far a build is. */
export type BuildState = Pick<Progress, "done" | "total" | "unit" | "detail">;

/**
 * How far a build is, from what Docker's classic builder has written by now: `Step 3/12 : RUN …` begins the third step. A script
 * that is no recipe has no steps, only its last line.
 */
export function buildState(log: string): BuildState {
  const [, step, total] = [...log.matchAll(/^Step (\d+)\/(\d+) :/gm)].at(-1) ?? [];
  const [, context] = /^Sending build context to Docker daemon\s+(\S+)\s*$/m.exec(log) ?? [];
  const words = [context && `context ${context}`, cut(lastLine(log), SHOWN)].filter(Boolean).join(", ");
  const detail = words ? { detail: words } : {};
  if (!step || !total) return detail;
  return { done: Number(step) - 1, total: Number(total), unit: "steps", ...detail };
}

/** Reports how far the build is that writes this log, again and again. Returns what ends that. */
export function followBuild(file: string, onState: (state: BuildState) => void): () => void {
  // The log of the build before may still be there.
  onState({});
  const timer = setInterval(() => {
    if (existsSync(file)) onState(buildState(readFileSync(file, "utf8")));
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
