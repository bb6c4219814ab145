import type { Failure } from "../../configs/kit/problems";
import { visible } from "../../configs/kit/visible";
import type { Cluster } from "../../platform/kubernetes/kubectl";

/** Something for which a cluster would not run the box, or not all of it. */
export interface GroundFinding extends Failure {
  /** Key of the stack config. */
  path: string;
  /** `note`: the objects are accepted, and somebody should know. */
  level: "refused" | "note";
}

/** Whose box it is, and where it is to stand. */
export interface Site extends Pick<Cluster, "context" | "namespace"> {
  stack: string;
}

/** The path of a model's entry, or of the section. */
export function pathOf(model: string | undefined): string {
  return model === undefined ? "gpubox:kubernetes" : `gpubox:models.${model}`;
}

/** Names as an enumeration, at most four of them. */
export function some(names: string[]): string {
  const distinct = [...new Set(names)];
  const shown = distinct.length > 4 ? [...distinct.slice(0, 3), `${distinct.length - 3} more`] : distinct;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/** What people read of a check: a line for each finding, what is in the way first. */
export function findingLines(findings: GroundFinding[]): string[] {
  if (findings.length === 0) return ["Nothing is in the way: the cluster takes the box."];
  const order = ["refused", "note"];
  return [...findings]
    .sort((one, other) => order.indexOf(one.level) - order.indexOf(other.level))
    .map(({ level, path, what, fix }) => visible(`${level}  ${path}: ${what} ${fix}`));
}
