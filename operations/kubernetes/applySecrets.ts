import type { SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { kubernetesObjects, renderKubernetes } from "../../configs/plan/kubernetes/render";
import { run, UserError } from "../../platform/process";
import { secretManifests } from "./manifests";

/** Shorter texts are no secrets, and stand in many words. */
const SHORTEST_SECRET = 6;

export interface Applied {
  /** Names of the Secrets that are there now. */
  names: string[];
  /** What kubectl says of each. */
  lines: string[];
}

/**
 * Writes the box's Secrets to the cluster, and the namespace before them where it is the stack's to make. The values go to kubectl by its
 * standard input. The server applies them itself, so that no annotation repeats a value.
 *
 * @param context of kubectl. Default: the stack's, else the current one
 * @throws UserError where there is no kubectl, or the cluster refuses
 */
export async function applySecrets(plan: BoxPlan, values: SecretValues, context?: string): Promise<Applied> {
  const { settings, namespace } = clusterOf(plan);
  const named = context ?? settings.context;
  const first = kubernetesObjects(plan).filter(({ kind }) => kind === "Namespace");
  const items = [...first, ...secretManifests(plan, values)];
  const args = [
    ...(named ? ["--context", named] : []),
    ...["apply", "--server-side", "--field-manager=gpubox", "--force-conflicts", "--filename", "-"],
  ];
  const result = await run("kubectl", args, {
    stdin: JSON.stringify({ apiVersion: "v1", kind: "List", items }),
  });
  if (result.code === 127)
    throw new UserError(
      "kubectl is not installed.",
      "Install it beside gpubox: https://kubernetes.io/docs/tasks/tools/.",
    );
  if (result.code !== 0)
    throw new UserError(
      `kubectl did not write the Secrets of the namespace ${namespace}: ${hidden(result.stderr.trim(), values) || `exit code ${result.code}`}`,
      `See which cluster it reaches: kubectl ${named ? `--context ${named} ` : ""}cluster-info. A Secret is never changed, so that one of the same name and another content is another stack's: name a namespace of its own (gpubox:kubernetes.namespace).`,
    );
  return {
    names: renderKubernetes(plan).secrets.map(({ metadata }) => metadata.name),
    lines: result.stdout.trim().split("\n").filter(Boolean),
  };
}

/** A text of somebody else's, without any value that was piped to it. */
function hidden(text: string, values: SecretValues): string {
  return Object.entries(values)
    .filter(([, value]) => value.length >= SHORTEST_SECRET)
    .reduce((safe, [name, value]) => safe.replaceAll(value, `[${name}]`), text);
}
