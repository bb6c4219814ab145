import { hashOf } from "../../kit/text";
import type { BoxPlan } from "../../kit/types";
import { hashedName, meta } from "./names";
import type { Job, PodTemplate } from "./objects";

interface Once {
  /** What its name begins with. */
  base: string;
  /** Pods that may fail before it has failed. */
  retries: number;
  /** For all of its pods together. */
  seconds: number;
}

/**
 * Work that is done once. A Job is never changed, so its name says all that its pod is: another one is another Job, and the same is
 * done already.
 */
export function onceJob(
  plan: BoxPlan,
  role: string,
  template: PodTemplate,
  { base, retries, seconds }: Once,
): Job {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: meta(plan, role, hashedName(base, hashOf([template, retries, seconds]))),
    spec: { backoffLimit: retries, activeDeadlineSeconds: seconds, template },
  };
}
