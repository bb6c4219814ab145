import type { BoxPlan } from "../../configs/kit/types";
import { limitOf, memoryKey } from "./containerHealth";
import type { ContainerFacts, Facts } from "./facts";
import { type Finding, logsCommand, type Row, upCommand } from "./row";

/** A container that uses this share of its limit, in percent, may be killed soon. */
const FULL_PERCENT = 90;

function raise(box: BoxPlan, role: string): string {
  return `Raise ${memoryKey(box, role)} (now ${limitOf(box, role)} MiB), then ${upCommand(box)}.`;
}

/** Running containers that lost a process because memory ran out. A container that is down now has its own row. */
function memoryFindings(box: BoxPlan, { containers }: Facts): Finding[] | undefined {
  return containers?.flatMap(({ name, role, state, memoryPercent = 0, memoryKills, restarts }) => {
    if (memoryKills && state !== "exited" && state !== "restarting") {
      const { count, lastAt, limit } = memoryKills;
      const healed = restarts > 0 ? "; Docker has started it again" : "";
      const whose = limit === "host" ? "The machine had no memory left" : `${name} reached its memory limit`;
      const lost = `${count} process${count === 1 ? "" : "es"}${limit === "host" ? ` of ${name}` : ""}`;
      return [
        {
          what: `${whose}: the kernel killed ${lost}${lastAt ? `, the last at ${lastAt}` : ""}${healed}.`,
          fix:
            limit === "host"
              ? "Stop a model (`gpubox model stop MODEL`), or lower memoryMiB of what needs less."
              : raise(box, role),
        },
      ];
    }
    if (memoryPercent < FULL_PERCENT) return [];
    return [
      { what: `${name} uses ${Math.round(memoryPercent)} % of its memory limit.`, fix: raise(box, role) },
    ];
  });
}

/** True for a container that ended by itself recently and runs again, unless it ran out of memory. */
function restarted({ state, restarts, endedAt, memoryKills }: ContainerFacts): boolean {
  return state === "running" && restarts > 0 && endedAt !== undefined && !memoryKills;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

/** What watchers inside of containers did: an engine that hung, a process that somebody had stopped. */
function healedFindings(box: BoxPlan, { containers }: Facts): Finding[] | undefined {
  return containers?.flatMap(({ name, role, healed = [] }) =>
    healed.map((one) => {
      const last = `${times(one.count)}, the last time at ${one.lastAt}`;
      if (one.what === "hung")
        return {
          what: `The engine of ${name} hung ${last} (${one.why}), and was started again.`,
          fix: `Read ${logsCommand(box, role)} of that time. After three times within an hour it is left down.`,
        };
      if (one.what === "starved")
        return {
          what: `The engine of ${name} was ended ${last}, before the host froze (${one.why}), and was started again.`,
          fix: "Stop a model (`gpubox model stop MODEL`), or give one less: gpu.memoryGiB, its context, memoryMiB.",
        };
      return {
        what: `${name} was stopped by a signal ${last}, and goes on.`,
        fix: "Find out who sends SIGSTOP on this host.",
      };
    }),
  );
}

/** Rows about what was started again by Docker or by a watcher. */
export const restartRows: Row[] = [
  {
    id: "memory",
    symptom: "a container restarts now and then with status 137",
    cause: "it reaches its memory limit, or the machine ran out of memory; Docker starts it again",
    check: memoryFindings,
  },
  {
    id: "restarted",
    symptom: "a request broke off, and everything works again",
    cause: "a container ended by itself within the last day, and Docker started it again",
    level: "note",
    check: (box, { containers }) =>
      containers?.filter(restarted).map(({ name, role, restarts, endedAt }) => ({
        what: `${name} ended by itself ${times(restarts)}, the last time at ${endedAt}, and Docker started it again.`,
        fix: `Read ${logsCommand(box, role)} of that time: Docker keeps no reason.`,
      })),
  },
  {
    id: "hung",
    symptom: "requests wait without an answer for a minute or two, break off, and everything works again",
    cause:
      "an engine hung or took the host's last memory, or a signal stopped a process, and a watcher in its container healed it within the last day",
    level: "note",
    check: healedFindings,
  },
];
