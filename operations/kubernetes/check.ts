import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
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
 * @param made names of Secrets that come with the objects
 * @returns what is in the way, and what somebody should know; the former first
 */
export async function checkCluster(
  cluster: Cluster,
  stack: string,
  objects: ClusterObject[],
  models: Record<string, string> = {},
  made: string[] = [],
): Promise<GroundFinding[]> {
  const demand = demandOf(objects, models, made);
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
  return checkCluster(
    { context: context ?? settings.context, namespace },
    plan.stack,
    manifests(plan, by).objects,
    modelsByRole(plan),
  );
}

/** The same for a stack whose target is the cluster: its Secrets come with its objects. */
export function checkTarget(plan: BoxPlan): Promise<GroundFinding[]> {
  const { settings, namespace } = clusterOf(plan);
  const { objects, secrets } = renderKubernetes(plan);
  const made = secrets.map(({ metadata }) => metadata.name);
  return checkCluster(
    { context: settings.context, namespace },
    plan.stack,
    objects,
    modelsByRole(plan),
    made,
  );
}

function modelsByRole({ backends }: BoxPlan): Record<string, string> {
  return Object.fromEntries(backends.map(({ model, service }) => [service.container.name, model]));
}
