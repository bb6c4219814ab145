import { createInterface } from "node:readline";
import type { BoxPlan } from "../../configs/kit/types";
import { followPodLog, inUtc, type PodLog, readPodLog, sinceArgument } from "../../platform/kubernetes/logs";
import { UserError } from "../../platform/process";
import { clusterAt } from "../kubernetes/ask";
import { type PodContainer, type PodFacts, podsOfStack } from "../kubernetes/pods";
import { lastWords } from "../kubernetes/unreached";
import type { LogPlace, Source } from "./readLogs";

/** A container of a pod. */
interface PodSource extends Source {
  log: PodLog;
  runs: boolean;
}

/**
 * The logs of a box on a cluster: of each container of its pods, and of what ran before one that was started again.
 *
 * @param since `15m`, or a date
 * @throws UserError for another time
 */
export function clusterLogs(plan: BoxPlan, since: string): LogPlace<PodSource> {
  const cluster = clusterAt(plan);
  const from = fromArgument(since);
  return {
    sources: async () => (await podsOfStack(plan)).flatMap(sourcesIn),
    past: async ({ container, role, log }) => {
      const read = await readPodLog(cluster, log, from);
      if (read.code === 0) return { lines: read.stdout.split("\n").map(inUtc), notes: [] };
      const at = new Date().toISOString();
      const text = `gpubox: this log cannot be read: ${lastWords(read)}.`;
      return { lines: [], notes: [{ at, container, role, level: "WARNING", text }] };
    },
    follow: async ({ log, runs }, line) => {
      if (!runs || log.previous) {
        const { stdout } = await readPodLog(cluster, log, from);
        for (const one of stdout.split("\n")) line(inUtc(one));
        return;
      }
      const child = followPodLog(cluster, log, from);
      createInterface(child.stdout).on("line", (one) => line(inUtc(one)));
      await new Promise<void>((resolve, reject) => {
        child.on("error", () =>
          reject(new UserError("`kubectl` cannot be started.", "Is it still on PATH?")),
        );
        child.on("close", () => resolve());
      });
    },
  };
}

/**
 * The argument by which kubectl reads logs since a time.
 *
 * @throws UserError for what is no time
 */
export function fromArgument(since: string): string {
  const from = sinceArgument(since);
  if (from === undefined)
    throw new UserError(`"${since}" is not a time.`, "For --since, write 15m, 2h or a date.");
  return from;
}

/** A container that never started has no log. */
function sourcesIn({ name: pod, role, containers }: PodFacts): PodSource[] {
  return containers
    .filter(({ runs, ended }) => runs || ended)
    .flatMap(({ name, init, runs, restarts }: PodContainer) => {
      const source = { container: init ? `${pod}/${name}` : pod, role, runs, log: { pod, container: name } };
      // Of one that does not run now, its node gives the last log anyway.
      const before = runs && restarts > 0;
      return [...(before ? [{ ...source, log: { ...source.log, previous: true } }] : []), source];
    });
}
