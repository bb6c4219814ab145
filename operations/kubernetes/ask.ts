import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { type Cluster, kubectl } from "../../platform/kubernetes/kubectl";
import { type RunResult, UserError } from "../../platform/process";
import { lastWords, unreached, unreachedWords } from "./unreached";

/** What makes kubectl print objects as this program reads them. */
export const json = ["--output", "json"];

/** The cluster that a plan is for, as kubectl reaches it. */
export function clusterAt(plan: BoxPlan): Cluster {
  const { settings, namespace } = clusterOf(plan);
  return { context: settings.context, namespace };
}

/** The begin of kubectl's command lines for a plan, as a person writes it. */
export function kubectlWords({ context, namespace }: Cluster): string {
  return `kubectl${context === undefined ? "" : ` --context ${context}`} -n ${namespace}`;
}

/**
 * What kubectl prints of a cluster.
 *
 * @throws UserError where the cluster cannot be asked, with what to do
 */
export async function askCluster(cluster: Cluster, args: string[], stdin?: string): Promise<string> {
  const answer = await kubectl(cluster, args, stdin);
  if (answer.code !== 0) throw notAnswered(cluster, answer);
  return answer.stdout;
}

/** Why a kubectl failed, for the person at the terminal. */
export function notAnswered({ context, namespace }: Cluster, answer: RunResult): UserError {
  if (/\(Forbidden\)/.test(answer.stderr))
    return new UserError(
      `The API server does not let you look in the namespace ${namespace}: ${lastWords(answer)}.`,
      "Ask for the right to list and get there, or use another context.",
    );
  const { what, fix } = unreachedWords(unreached(answer), context);
  return new UserError(what, fix);
}
