import type { BoxPlan } from "../../configs/kit/types";
import type { ClusterFacts } from "./clusterFacts";
import { clusterPartRows } from "./clusterParts";
import { clusterGroundRows, clusterWorkRows } from "./clusterRows";
import { tableOf } from "./diagnose";
import type { Facts } from "./facts";
import { requestRows } from "./requests";
import { routingRows } from "./routing";
import { configRow, judgeRows, type Row, type Verdict } from "./row";

/** Rows that only a host has: Docker's logs, and `auth: none`. */
const ONLY_HOSTS = ["logs", "web-page"];

/** Rows of a host about what clients notice, which is the same on a cluster. */
const SHARED: Row[] = [
  ...routingRows.filter(({ id }) => ["key", "unknown-model"].includes(id)),
  ...requestRows.filter(({ id }) => !ONLY_HOSTS.includes(id)),
];

/** Every row for a box on a cluster. Those that everything depends on come first, mistakes of single clients last. */
export const clusterRows: Row<ClusterFacts>[] = [
  ...clusterGroundRows,
  ...clusterPartRows,
  ...clusterWorkRows,
  ...SHARED.map(
    (row): Row<ClusterFacts> => ({
      ...row,
      check: (box, facts) => row.check(box, asOnHost(facts)),
    }),
  ),
];

function asOnHost({ requests, unknownModels, listed, clientKey, clientModel }: ClusterFacts): Facts {
  const noticed = { requests, unknownModels, listed, clientKey, clientModel };
  return { docker: { state: "answers" }, host: {}, ...noticed };
}

/** Checks a box on a cluster with every row. */
export function diagnoseCluster(box: BoxPlan, facts: ClusterFacts): Verdict[] {
  return judgeRows(clusterRows, box, facts, whyUnread);
}

/** The fact that each row is judged by. */
const FACTS: Record<string, keyof ClusterFacts> = {
  namespace: "namespace",
  ground: "ground",
  node: "nodes",
  claims: "claims",
  secrets: "secrets",
  jobs: "jobs",
  ...Object.fromEntries(
    ["edge", "gateway", "model", "redis", "postgres"].map((id) => [id, "workloads" as const]),
  ),
  ...Object.fromEntries(["memory", "restarted", "changed"].map((id) => [id, "pods" as const])),
  ...Object.fromEntries(["listed", "certificate", "key"].map((id) => [id, "listed" as const])),
};

function whyUnread(row: string, { unreached, unread, unasked }: ClusterFacts): string {
  if (unreached) return "the cluster does not answer";
  const fact = FACTS[row] ?? "requests";
  const other = row === "node" || fact === "workloads" ? unread.pods : undefined;
  const told = unread[fact] ?? other;
  if (told) return told;
  if (row === "certificate" && !unasked) return "the edge has none";
  return fact === "listed" ? (unasked ?? "the edge gave no answer") : "no log of the edge was read";
}

/** The rows as the table of docs/kubernetes.md. */
export function clusterRowsMarkdown(): string {
  return tableOf([configRow, ...clusterRows]);
}
