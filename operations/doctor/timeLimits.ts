import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt } from "../../platform/docker/client";
import type { RunResult } from "../../platform/process";
import { ANSWER_SECONDS } from "./containerHealth";

/** Milliseconds for a question to the engine that asks no container. */
const ENGINE_MS = 5_000;

/** Milliseconds for a look into one container: what runs there has less, see {@link execWithin}. */
export const LOOK_MS = (ANSWER_SECONDS + 1) * 1_000;

/** Exit code of `timeout`, for a command that took too long. */
const TIMED_OUT = 124;

/** A command of the Docker CLI that ends soon, whatever the engine does. */
export function ask({ docker }: Pick<BoxPlan, "docker">, args: string[], timeoutMs = ENGINE_MS) {
  return dockerAt(docker).run(args, { timeoutMs });
}

/**
 * Runs a command in a container that ends soon there too: killing the CLI alone would leave it running. Images without
 * `timeout` do without.
 */
export function execWithin(box: BoxPlan, container: string, command: string[]): Promise<RunResult> {
  const limited = `command -v timeout >/dev/null && exec timeout ${ANSWER_SECONDS} "$@"; exec "$@"`;
  return ask(box, ["exec", container, "sh", "-c", limited, "sh", ...command], LOOK_MS);
}

/** True for a command of {@link execWithin} that took longer than it may. */
export function timedOut({ code, stderr }: RunResult): boolean {
  return code === TIMED_OUT || code === 137 || (code === 143 && stderr === "");
}

/** A result, or undefined where it takes longer. What still runs is not waited for. */
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
