import type { Failure } from "../../configs/kit/problems";
import type { GroundFinding } from "../kubernetes/finding";
import type { PodFacts } from "../kubernetes/pods";
import type { Workload } from "../kubernetes/workloads";
import type { Facts } from "./facts";

/** What clients notice, as on a host. */
type Noticed = Pick<
  Facts,
  "requests" | "unknownModels" | "unreadLogs" | "listed" | "clientKey" | "clientModel"
>;

/** The state of a box on a cluster, as plain data. A field is undefined when nothing could be read, and then no row judges by it. */
export interface ClusterFacts extends Noticed {
  /** Why the cluster cannot be asked at all. */
  unreached?: Failure;
  /** False: there is none. */
  namespace?: { terminating: boolean; stack?: string } | false;
  /** What `up` would refuse, or tell. */
  ground?: GroundFinding[];
  nodes?: ClusterNode[];
  workloads?: Workload[];
  pods?: PodFacts[];
  jobs?: ClusterJob[];
  claims?: { name: string; role: string; phase: string }[];
  /** Names of Secrets of the namespace. */
  secrets?: string[];
  /** The names that the edge lists to clients. */
  listedNames?: string[];
  /** How the edge's certificate looks to clients; undefined also without TLS. */
  certificate?: { ok: boolean; said: string };
  /** Why the edge could not be asked, as half a sentence. */
  unasked?: string;
  /** Why each field could not be read, as half a sentence. */
  unread: Partial<Record<keyof ClusterFacts, string>>;
  /** The begin of kubectl's command lines. */
  kubectl: string;
}

export interface ClusterNode {
  name: string;
  ready: boolean;
  /** What its agent says of that. */
  why: string;
  /** False: somebody told it to take no new pods. */
  schedulable: boolean;
  /** What it runs out of: `MemoryPressure`. */
  pressures: string[];
  /** Devices by their resource: those that it has, and those that pods get. */
  devices: Record<string, { has: number; gives: number }>;
}

export interface ClusterJob {
  name: string;
  role: string;
  /** The model that it proves. */
  model?: string;
  state: "done" | "failed" | "runs";
  /** Why it failed, in the cluster's words. */
  why: string;
  /** When it was made: RFC 3339, UTC. */
  madeAt: string;
}
