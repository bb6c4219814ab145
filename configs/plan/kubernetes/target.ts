import { ConfigError } from "../../kit/problems";
import type { BoxPlan } from "../../kit/types";
import type { StackConfig } from "../../stack/config";
import { EDGE_SERVICE } from "../cluster";
import { clusterLosses } from "./losses";
import { clusterOf } from "./names";
import { clusterRefusals } from "./refusals";
import { kubernetesObjects } from "./render";

/**
 * Judges a plan for the cluster that its stack names as target.
 *
 * @returns what the box lacks there beside one on Docker, a sentence each
 * @throws ConfigError with everything in the config that only one host can do, and where it does not name the cluster
 */
export function judgedForCluster(config: StackConfig, plan: BoxPlan): string[] {
  const objects = kubernetesObjects(plan);
  const unnamed = config.kubernetes.context
    ? []
    : [
        {
          path: "gpubox:kubernetes.context",
          what: "No cluster is named, and `up` would write to the one that kubectl happened to use last.",
          fix: "Write its context, as `kubectl config get-contexts` shows it: kubernetes: { context: lab }.",
        },
      ];
  const refused = [...unnamed, ...clusterRefusals(config, plan, objects)];
  if (refused.length > 0) throw new ConfigError(config.stack, refused);
  return clusterLosses(plan, objects);
}

/** Base URL for clients inside the cluster, without `/v1`. */
export function clusterEndpoint(plan: BoxPlan): string {
  const { namespace, port, settings } = clusterOf(plan);
  const scheme = clusterOf(plan).edge.files["tls.pem"] ? "https" : "http";
  return `${scheme}://${EDGE_SERVICE}.${namespace}.svc.${settings.clusterDomain}:${port}`;
}
