import type { BoxPlan } from "../../kit/types";
import { meta, podsOf, roleLabels } from "./names";
import type { PodDisruptionBudget, Service, ServicePort } from "./objects";

/** One port of a Service. `target`: the pod's. Default: the same. */
export function servicePort(name: string, port: number, target = port): ServicePort {
  return { name, port, targetPort: target, protocol: "TCP" };
}

/** A Service inside the cluster, which leads to the ready pods of a part. */
export function service(
  plan: BoxPlan,
  role: string,
  ports: ServicePort[],
  { name = role, selector = roleLabels(plan, role) } = {},
): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(plan, role, name),
    spec: { type: "ClusterIP", selector, ports },
  };
}

/** Whoever drains a node takes one pod at a time. */
export function disruptionBudget(plan: BoxPlan, role: string): PodDisruptionBudget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: meta(plan, role),
    spec: {
      maxUnavailable: 1,
      // One that serves nobody must not keep a node from going.
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: podsOf(plan, role),
    },
  };
}
