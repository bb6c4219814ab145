import type { BoxPlan } from "../../kit/types";
import { meta, roleLabels } from "./names";
import type { Deployment, PodTemplate } from "./objects";

/** Generations that `kubectl rollout undo` can return to. */
export const HISTORY = 5;

/** No pod less during a change: the new one is ready first. */
export const ADDS_FIRST: Deployment["spec"]["strategy"] = {
  type: "RollingUpdate",
  rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
};

/** What a part says of its own Deployment. `progressDeadlineSeconds`: after so many a rollout counts as stuck. */
type Own = Pick<Deployment["spec"], "replicas" | "progressDeadlineSeconds" | "strategy">;

/** A part's pods as a Deployment under the part's name. */
export function deployment(
  plan: BoxPlan,
  role: string,
  { replicas, progressDeadlineSeconds, strategy }: Own,
  template: PodTemplate,
): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(plan, role),
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      revisionHistoryLimit: HISTORY,
      progressDeadlineSeconds,
      strategy,
      selector: { matchLabels: roleLabels(plan, role) },
      template,
    },
  };
}
