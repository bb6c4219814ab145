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
  | "gpu";

/** One thing on the host that is not as planned. */
export interface Difference {
  kind: DriftKind;
  /** Name or path on the host. */
  subject: string;
  /** One sentence: what differs. */
  what: string;
  /** One sentence: what to do. */
  fix: string;
  /** False: only a person can put it right, because it is not the box's. */
  byUp: boolean;
  affected: Affected;
  /** How `up` repairs it. Absent where a refresh of the state and what follows from it does. */
  repair?: Repair;
}

export type Repair =
  /** Make the container anew. */
  | { do: "replace"; container: string }
  /** A running container takes another limit of its processes. */
  | { do: "limit"; container: string; processes: number }
  /** It has only to go on. */
  | { do: "unpause"; container: string }
  /** It has the place of one of the box's, and the state does not know it. */
  | { do: "remove container"; container: string }
  | { do: "remove network"; network: string }
  /** Write the directory's files again after `paths` are gone; who read them has to read them anew if `reread`. */
  | { do: "write"; directory: string; paths: string[]; reread: boolean }
  /** Make a directory that a container writes to, with its owner and mode. */
  | { do: "make"; directory: string; reread: boolean }
  /** Send to the planned gateways again. */
  | { do: "switch" };

/** What `drift` says. */
export interface DriftReport {
  stack: string;
  differences: Difference[];
  /** True: the stack config is not the one of the last `up`, and what it changes counts as a difference. */
  configChanged: boolean;
  /** What could not be looked at, with the reason. */
  notChecked: string[];
}
