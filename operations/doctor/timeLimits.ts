import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt } from "../../platform/docker/client";
import type { RunResult } from "../../platform/process";
import { ANSWER_SECONDS } from "./containerHealth";

/** Timeout in milliseconds for a question that the engine answers by itself. */
export const ENGINE_MS = 5_000;

/** Timeout in milliseconds for questions to the host, whose file system or driver may hang. */
export const HOST_MS = 6_000;

/** Timeout in milliseconds for a command in a container. The command itself has less, see {@link execWithin}. */
export const LOOK_MS = (ANSWER_SECONDS + 1) * 1_000;

/** Exit code of the program `timeout` for a command that took too long. */
const TIMED_OUT = 124;

/** Runs a Docker command with a time limit, whatever the engine does. */
export function ask({ docker }: Pick<BoxPlan, "docker">, args: string[], timeoutMs = ENGINE_MS) {
  return dockerAt(docker).run(args, { timeoutMs });
}

/**
 * Runs a command in a container and limits its time there too, because killing the CLI alone would leave it running. In images
 * without the program `timeout` the command has no limit of its own. A health check heals nothing then (assets/health/heal.sh).
 */
export function execWithin(box: BoxPlan, container: string, command: string[]): Promise<RunResult> {
  const limited = `command -v timeout >/dev/null && exec timeout ${ANSWER_SECONDS} "$@"; exec "$@"`;
  return ask(
    box,
    ["exec", "--env", "GPUBOX_ONLY_ASKS=1", container, "sh", "-c", limited, "sh", ...command],
    LOOK_MS,
  );
}

/** True when a command of {@link execWithin} took too long. */
export function timedOut({ code, stderr }: RunResult): boolean {
  return code === TIMED_OUT || code === 137 || (code === 143 && stderr === "");
}

/** The result of `work`, or undefined when it takes too long. The work itself continues. */
export async function withTimeout<T>(timeoutMs: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
