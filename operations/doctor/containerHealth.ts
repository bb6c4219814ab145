import type { BoxPlan } from "../../configs/kit/types";
import { modelServers, servicesOf } from "../../configs/plan/box";
import type { ContainerFacts, Facts } from "./facts";
import { logsCommand, upCommand } from "./row";

/** A container gets this many seconds to answer its own health check. */
export const ANSWER_SECONDS = 3;

/** Exit status after SIGKILL, which the kernel sends when memory runs out. */
const KILLED = 137;

/** Exit statuses of a container that somebody stopped or killed. */
const BY_HAND = [0, KILLED, 143];

/** The config key that sets a container's memory limit. */
export function memoryKey(box: BoxPlan, role: string): string {
  const backend = modelServers(box).find(({ service }) => service.container.name === role);
  if (backend) return `gpubox:models.${backend.model}.memoryMiB`;
  return ["gateway", "cache", "database"].includes(role) ? `gpubox:${role}.memoryMiB` : "its memory limit";
}

/** The memory limit of a container in the plan, in MiB. */
export function limitOf(box: BoxPlan, role: string): number | string {
  return servicesOf(box).find(({ container }) => container.name === role)?.container.memoryMiB ?? "?";
}

export function containerOf(facts: Facts, role: string): ContainerFacts | undefined {
  return facts.containers?.find((one) => one.role === role);
}

/** True for a container that a person or a program stopped: it neither ended by itself nor ran out of memory. */
export function stoppedByHand({ state, exitCode, oomKilled }: ContainerFacts): boolean {
  return state === "exited" && !oomKilled && BY_HAND.includes(exitCode);
}

/** What is wrong with a container, as the end of a sentence; undefined for a healthy one. */
export function problemOf(container: ContainerFacts | undefined): string | undefined {
  if (!container) return "is not there";
  const { state, oomKilled, error } = container;
  if (state === "paused") return "is paused";
  if (state === "running") return runningProblem(container);
  if (oomKilled) return "was killed: it needed more memory than its limit";
  if (error) return `did not start: ${error}`;
  if (state === "created") return "was made and never started";
  if (state === "restarting")
    return `ends again and again, ${container.restarts} times so far${last(container)}`;
  if (!stoppedByHand(container)) return `ended with status ${container.exitCode}${last(container)}`;
  // Docker restarts a container that ends by itself. Only one that was stopped by hand stays down.
  return container.exitCode === KILLED
    ? "was killed by hand (status 137, and not for its memory), and Docker leaves it down"
    : `was stopped (status ${container.exitCode})`;
}

function runningProblem(container: ContainerFacts): string | undefined {
  const { health, probe, halted = [] } = container;
  if (halted.length > 0) return `has a process that is stopped by a signal (${halted.join(", ")})`;
  if (health === "starting" || probe === "answers") return undefined;
  if (probe === "silent") return `runs and does not answer within ${ANSWER_SECONDS} s`;
  if (probe === "fails" || health === "unhealthy") return `runs and does not answer${last(container)}`;
  return undefined;
}

function last({ lastWords }: ContainerFacts): string {
  return lastWords ? `: ${lastWords}` : "";
}

/** What to do about an unhealthy container of those that `up` starts. */
export function fixFor(box: BoxPlan, container: ContainerFacts | undefined, role: string): string {
  if (container?.state === "paused") return `Run \`docker unpause ${container.name}\`.`;
  if (container?.oomKilled && container.state !== "running")
    return `Raise ${memoryKey(box, role)} (now ${limitOf(box, role)} MiB), then ${upCommand(box)}.`;
  if (container?.state === "running" || container?.state === "restarting")
    return `Read ${logsCommand(box, roleWord(box, role))}, then run \`${restart(container)}\`.`;
  return `Run ${upCommand(box)}: it starts what should run.`;
}

/** A hanging process ignores its stop signal, and Docker would wait 15 minutes for a gateway. */
function restart({ name }: ContainerFacts): string {
  return `docker restart -t 10 ${name}`;
}

/** The name by which `gpubox logs` knows a container's part of the box. */
function roleWord(box: BoxPlan, role: string): string {
  const backend = modelServers(box).find(({ service, valve }) =>
    [service, valve].some(({ container }) => container.name === role),
  );
  return backend?.model ?? role;
}
