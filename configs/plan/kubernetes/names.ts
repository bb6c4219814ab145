import { createHash } from "node:crypto";
import type { BoxPlan } from "../../kit/types";
import { modelSlug } from "../../stack/instances";
import type { LabelSelector, ObjectMeta } from "./objects";

/** A label's value, and the name of a Job, have so many characters at most. */
const LONGEST = 63;

/** Labels by which one part of a box finds its pods. They never change, because a selector may not. */
export function roleLabels(plan: BoxPlan, role: string): Record<string, string> {
  return { "gpubox.stack": plan.stack, "gpubox.role": role };
}

/** Labels of every object of a part. */
export function labelsOf(plan: BoxPlan, role: string): Record<string, string> {
  return {
    "app.kubernetes.io/managed-by": "gpubox",
    "app.kubernetes.io/name": role,
    "app.kubernetes.io/part-of": plan.prefix,
    ...roleLabels(plan, role),
  };
}

/** Name, namespace and labels of an object of a part. */
export function meta(plan: BoxPlan, role: string, name = role): ObjectMeta {
  return { name, namespace: clusterOf(plan).namespace, labels: labelsOf(plan, role) };
}

/** A selector of a part's pods. */
export function podsOf(plan: BoxPlan, role: string): LabelSelector {
  return { matchLabels: roleLabels(plan, role) };
}

/**
 * What only a plan for a cluster has.
 *
 * @throws Error for a plan that was made for Docker
 */
export function clusterOf(plan: BoxPlan): NonNullable<BoxPlan["cluster"]> {
  if (!plan.cluster) throw new Error("this plan is not for a cluster: make it with `target: kubernetes`");
  return plan.cluster;
}

/** A name with a hash at its end, as short as labels and Jobs want it. */
export function hashedName(name: string, hash: string): string {
  return `${name.slice(0, LONGEST - hash.length - 1).replace(/-+$/, "")}-${hash}`;
}

/** A model's public name as a part of a label's key: two models never have the same, whatever they are called. */
export function modelKey(name: string): string {
  const slug = modelSlug(name);
  if (slug === name) return slug;
  return hashedName(slug.slice(0, 48), createHash("sha256").update(name).digest("hex").slice(0, 6));
}

/** Key of the label by which a gateway's pod says in which version it serves a model. */
export function modelLabel(name: string): string {
  return `gpubox.model/${modelKey(name)}`;
}
