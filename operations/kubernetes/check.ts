import type { Cluster } from "../../platform/kubernetes/kubectl";
import { type ClusterObject, demandOf } from "./demand";
import type { GroundFinding } from "./finding";
import { readGround } from "./ground";
import { judgeGround } from "./judge";

/**
 * Asks a cluster whether a box can stand in it, and changes nothing there.
 *
 * @param objects of the box, as they would be applied
 * @param models parts of the box to the entry of `gpubox:models` that each serves
 * @returns what is in the way, and what somebody should know; the former first
 */
export async function checkCluster(
  cluster: Cluster,
  stack: string,
  objects: ClusterObject[],
  models: Record<string, string> = {},
): Promise<GroundFinding[]> {
  const demand = demandOf(objects, models);
  const { context, namespace } = cluster;
  return judgeGround({ stack, context, namespace }, demand, await readGround(cluster, demand, stack));
}
