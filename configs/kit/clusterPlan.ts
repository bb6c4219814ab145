import type { KubernetesConfig, ModelKubernetes } from "../schema/kubernetes";
import type { ServicePlan } from "./containerPlan";
import type { DirectoryPlan } from "./text";

/** What a box on a cluster has beside, or in place of, what it has on Docker. */
export interface ClusterPlan {
  namespace: string;
  settings: KubernetesConfig;
  /** Gateways at least: two, where they can share their counts. */
  gatewayReplicas: number;
  servers: ClusterServerPlan[];
  /** The edge's files: no switch, because a Service leads to the gateways that are ready. */
  edge: DirectoryPlan;
  /** Port of the edge's Service for clients. */
  port: number;
  /** Port that the model hub listens on. */
  hubPort: number;
  /** What identifies the hub's token; absent where there is none. */
  tokenFingerprint?: string;
  /** What a migration reads: no more than it needs, so that nothing else makes it run again. Absent without a database. */
  migration?: DirectoryPlan;
  /** What proves a model through the gateways. */
  proof: DirectoryPlan;
  /** What brings the declared teams, people and keys into the database. Absent without one. */
  access?: DirectoryPlan;
  /** What backs the bundled database up. */
  backup?: { files: DirectoryPlan; keep: number };
}

/** A model server on a cluster. */
export interface ClusterServerPlan {
  /** Which of {@link BoxPlan.backends}. */
  instance: string;
  /** Port that its engine listens on. */
  port: number;
  /** Port of its Service: the one that its valve has on Docker, so that routes stay. */
  servicePort: number;
  settings: ModelKubernetes;
  /** Number of its requests that wait, as a metric of its pods; absent where its engine has none. */
  waitingMetric?: string;
  /** Nodes of one server, where it has several. */
  nodes?: number;
  /** What runs on each of them but the first. */
  worker?: ServicePlan;
  /** Targets of the mounts that its entry names itself. */
  ownMounts: string[];
}
