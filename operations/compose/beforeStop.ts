import { drainSeconds } from "../../configs/kit/steps";
import type { BoxPlan } from "../../configs/kit/types";
import { STAND_IN_LABEL } from "../../configs/plan/beside";
import { servicesOf } from "../../configs/plan/box";
import { dockerAt } from "../../platform/docker/client";
import type { InspectedContainer } from "../../platform/docker/inspect";
import { closeValves } from "../../platform/docker/valves";
import type { Log } from "../../platform/project";
import { projectLabels } from "./composeFile";

/** Seconds that running requests get whose model goes for good. */
const REMOVED_SECONDS = 60;

/**
 * Closes the valves before the model servers that Compose is about to replace or remove: those whose label differs from the
 * hash that Compose makes of the file.
 *
 * @param hashes what `config --hash '*'` prints, a service and its hash on each line
 * @returns names of the valves
 */
export async function closeReplaced(plan: BoxPlan, hashes: string, log: Log): Promise<string[]> {
  const wanted = new Set(hashes.split("\n").map((line) => line.trim().split(/\s+/).join(" ")));
  const running = await dockerAt(plan.docker).containers({ labels: projectLabels(plan) });
  const stopped = running.filter(({ Config: { Labels } }) => {
    const [service, hash] = ["service", "config-hash"].map((key) => Labels[`com.docker.compose.${key}`]);
    return !wanted.has(`${service} ${hash}`);
  });
  const roles = stopped.map(({ Config }) => Config.Labels["gpubox.role"]);
  const servers = servicesOf(plan).filter(({ container }) => roles.includes(container.name));
  const valves = servers.flatMap(({ valves = [] }) => valves.map((valve) => `${plan.prefix}-${valve}`));
  // A server that the plan no longer has goes together with its valve.
  const names = [...new Set([...valves, ...valvesAmong(stopped)])];
  const seconds = Math.max(REMOVED_SECONDS, ...servers.map(({ container }) => drainSeconds(container)));
  for (const line of await closeValves(plan.docker, names, seconds)) log(`  ${line}`);
  return names;
}

/** Closes every valve of a box that is about to go. */
export async function closeAll(plan: BoxPlan, log: Log): Promise<void> {
  const valves = valvesAmong(await dockerAt(plan.docker).containers({ labels: projectLabels(plan) }));
  for (const line of await closeValves(plan.docker, valves, REMOVED_SECONDS)) log(`  ${line}`);
  const docker = dockerAt(plan.docker);
  // Those of a change that failed; Compose does not know them.
  const standIns = await docker.containerIds({
    all: true,
    labels: [`gpubox.stack=${plan.stack}`, STAND_IN_LABEL],
  });
  if (standIns.length > 0) await docker.output(["rm", "--force", ...standIns]);
}

function valvesAmong(containers: InspectedContainer[]): string[] {
  return containers.flatMap(({ Name, Config }) =>
    Config.Labels["gpubox.role"]?.startsWith("valve-") ? [Name] : [],
  );
}
