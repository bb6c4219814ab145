import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import type { Cluster } from "../../platform/kubernetes/kubectl";
import { type ClusterObject, demandOf } from "./demand";
import type { GroundFinding } from "./finding";
import { readGround } from "./ground";
import { judgeGround } from "./judge";
import { manifests, type SecretsBy } from "./manifests";

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

/**
 * The same for the box of a plan.
 *
 * @param by how its secrets come; {@link manifests}
 * @param context of kubectl. Default: the stack's, else the current one
 */
export function checkPlan(plan: BoxPlan, by: SecretsBy, context?: string): Promise<GroundFinding[]> {
  const { settings, namespace } = clusterOf(plan);
  const models = plan.backends.map(({ model, service }) => [service.container.name, model]);
  return checkCluster(
    { context: context ?? settings.context, namespace },
    plan.stack,
    manifests(plan, by).objects,
    Object.fromEntries(models),
  );
}
