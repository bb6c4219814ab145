import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import type { StackConfig } from "../../configs/stack/config";
import { dockerAt } from "../../platform/docker/client";
import { readLog } from "../../platform/docker/logs";
import { UserError } from "../../platform/process";
import { reachEndpoint } from "../../platform/ssh/reach";
import type { Secrets } from "../../platform/stack/secrets";
import { collectContainers } from "../doctor/collectContainers";
import { valvesOf } from "../doctor/collectServices";
import { memoryKills } from "../doctor/memoryKills";
import { parseRequest } from "../doctor/requests";
import { listedModels } from "../smoke/listed";
import { type ModelStatus, modelStatus } from "./status";

/**
 * The current state of every declared model, from the containers, the counters of their valves, and the valves' logs of
 * the last minute. Changes nothing.
 *
 * @throws UserError when the engine does not answer
 */
export async function statusOfModels(
  box: BoxPlan,
  config: StackConfig,
  secrets: Secrets,
): Promise<ModelStatus[]> {
  const [containers, valves, minutes, listed] = await Promise.all([
    collectContainers(box, memoryKills(box)),
    valvesOf(box),
    Promise.all(
      modelServers(box).map(
        async (one) => [one.instance, await lastMinute(box, one.valve.container.name)] as const,
      ),
    ),
    listedModels(
      await reachEndpoint(config, box.endpoint),
      config.gateway.auth === "key" ? secrets.masterKey : undefined,
    ),
  ]);
  if (!containers)
    throw new UserError(
      `The Docker engine at ${box.docker} does not answer.`,
      `Run \`gpubox doctor --stack ${box.stack}\`.`,
    );
  const counted = minutes.flatMap(([instance, count]) =>
    count === undefined ? [] : [[instance, count] as const],
  );
  return modelStatus(config, box, { containers, valves, lastMinute: Object.fromEntries(counted), listed });
}

/** Requests that a valve logged in the last 60 s; undefined without the valve. */
async function lastMinute({ docker, prefix }: BoxPlan, valve: string): Promise<number | undefined> {
  const log = await readLog(dockerAt(docker), `${prefix}-${valve}`, { since: "60s" }).catch(() => undefined);
  return log?.lines.filter((line) => parseRequest(line.slice(line.indexOf(" ") + 1))?.method === "POST")
    .length;
}
