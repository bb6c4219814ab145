import type { BoxPlan } from "../../configs/kit/types";
import type { StackConfig } from "../../configs/stack/config";
import { UserError } from "../../platform/process";
import type { Secrets } from "../../platform/stack/secrets";
import { podsOfStack } from "../kubernetes/pods";
import { throughEdge } from "../kubernetes/through";
import { workloadsOfStack } from "../kubernetes/workloads";
import { listedModels } from "../smoke/listed";
import { sendTo } from "../smoke/tlsBox";
import { type ClusterModelStatus, clusterModelStatus } from "./clusterStatus";

/**
 * The current state of every declared model of a box on a cluster. Changes nothing.
 *
 * @throws UserError where the cluster cannot be asked
 */
export async function clusterStatusOfModels(
  box: BoxPlan,
  config: StackConfig,
  secrets: Secrets,
): Promise<ClusterModelStatus[]> {
  const [workloads, pods, listed] = await Promise.all([
    workloadsOfStack(box),
    podsOfStack(box),
    listedThroughEdge(box, config, secrets),
  ]);
  return clusterModelStatus(config, box, { workloads, pods, listed });
}

/** What the edge lists; undefined where it lists nothing, which the states say more about. */
async function listedThroughEdge(
  box: BoxPlan,
  config: StackConfig,
  secrets: Secrets,
): Promise<string[] | undefined> {
  const key = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  try {
    return await throughEdge(box, config, (ways) => listedModels(ways.endpoint, key, sendTo(ways)));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
