import { ConfigError, type Problem } from "../../kit/problems";
import type { BoxPlan } from "../../kit/types";
import type { StackConfig } from "../../stack/config";
import { EDGE_SERVICE } from "../cluster";
import { clusterLosses } from "./losses";
import { clusterOf } from "./names";
import { clusterRefusals } from "./refusals";
import { kubernetesObjects } from "./render";

/**
 * Judges a plan for a cluster.
 *
 * @param more what else is in the way
 * @returns what the box lacks there beside one on Docker, a sentence each
 * @throws ConfigError with everything in the config that only one host can do, and with `more`
 */
export function lossesOnCluster(config: StackConfig, plan: BoxPlan, more: Problem[] = []): string[] {
  const objects = kubernetesObjects(plan);
  const refused = [...more, ...clusterRefusals(config, plan, objects)];
  if (refused.length > 0) throw new ConfigError(config.stack, refused);
  return clusterLosses(plan, objects);
}

/**
 * The same for the cluster that the plan's stack names as target.
 *
 * @throws ConfigError also where the config does not name the cluster
 */
export function judgedForCluster(config: StackConfig, plan: BoxPlan): string[] {
  if (config.kubernetes.context) return lossesOnCluster(config, plan);
  return lossesOnCluster(config, plan, [
    {
      path: "gpubox:kubernetes.context",
      what: "No cluster is named, and `up` would write to the one that kubectl happened to use last.",
      fix: "Write its context, as `kubectl config get-contexts` shows it: kubernetes: { context: lab }.",
    },
  ]);
}

/** Base URL for clients inside the cluster, without `/v1`. */
export function clusterEndpoint(plan: BoxPlan): string {
  const { namespace, port, settings, edge } = clusterOf(plan);
  const scheme = edge.files["tls.pem"] ? "https" : "http";
  return `${scheme}://${EDGE_SERVICE}.${namespace}.svc.${settings.clusterDomain}:${port}`;
}
