import { CLOSE, OPEN } from "../../configs/kit/steps";
import { dockerAt } from "./client";

/**
 * Closes valves before what they lead to is stopped, and waits until it has answered what it has; what takes longer is cut.
 *
 * @param docker address of the host's engine
 * @param valves names of containers; those that do not run are left out
 * @param seconds for the running requests
 * @returns sentences about what was drained and what was cut
 */
export async function closeValves(docker: string, valves: string[], seconds: number): Promise<string[]> {
  if (valves.length === 0) return [];
  const env = { GPUBOX_VALVES: valves.join(" "), GPUBOX_DRAIN: String(seconds) };
  const { stdout } = await dockerAt(docker).script(CLOSE, { env });
  return [...new Set(stdout.split("\n").filter(Boolean))];
}

/** Opens valves again. One that does not run starts open. */
export async function openValves(docker: string, valves: string[]): Promise<void> {
  if (valves.length === 0) return;
  await dockerAt(docker).script(OPEN, { env: { GPUBOX_VALVES: valves.join(" ") } });
}
