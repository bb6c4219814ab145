import type { SecretPlan } from "./files";
import type { KubernetesObject } from "./objects";

/** What one part of a box is made of on a cluster. */
export interface Part {
  objects: KubernetesObject[];
  secrets: SecretPlan[];
}

/** Several parts as one. */
export function together(...parts: Part[]): Part {
  return {
    objects: parts.flatMap(({ objects }) => objects),
    secrets: parts.flatMap(({ secrets }) => secrets),
  };
}
