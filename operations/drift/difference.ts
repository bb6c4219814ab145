import type { Affected } from "./affected";

/** Kinds of things that can differ. */
export type DriftKind =
  | "container"
  | "undeclared container"
  | "guest"
  | "network"
  | "volume"
  | "image"
  | "file"
  | "directory"
  | "edge"
  | "gpu"
  // On a cluster.
  | "object"
  | "undeclared object"
  | "fields";

/** One difference of the host or the cluster from the plan. */
export interface Difference {
  kind: DriftKind;
  /** Name or path on the host; kind and name of an object. */
  subject: string;
  /** One sentence: what differs. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
  /** False: only a person can repair it, because it does not belong to the box. */
  byUp: boolean;
  affected: Affected;
  /** How `up` repairs it. Absent where Pulumi's refresh is enough. */
  repair?: Repair;
}

export type Repair =
  | { do: "replace"; container: string }
  /** Change the process limit of the running container. */
  | { do: "limit"; container: string; processes: number }
  /** Unpause it. */
  | { do: "unpause"; container: string }
  /** Remove it: it has a name of the box's containers, but the state does not know it. */
  | { do: "remove container"; container: string }
  | { do: "remove network"; network: string }
  /** Remove `paths` and write the directory's files again. With `reread` their readers must reload them. */
  | { do: "write"; directory: string; paths: string[]; reread: boolean }
  /** Create a directory that a container writes to, with its owner and mode. */
  | { do: "make"; directory: string; reread: boolean }
  /** Switch the edge back to the planned gateways. */
  | { do: "switch" };

/** The result of `drift`. */
export interface DriftReport {
  stack: string;
  differences: Difference[];
  /** True: the stack config changed since the last `up`, and the change counts as a difference. */
  configChanged: boolean;
  /** What could not be checked, with the reason. */
  notChecked: string[];
}
