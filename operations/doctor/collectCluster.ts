import { z } from "zod";
import { PROBE } from "../../configs/network/endpoint";
import { BACKUP_ROLE, EDGE_ROLE, GATEWAY_ROLE } from "../../configs/plan/kubernetes/roles";
import type { BoxWays } from "../../platform/box/ways";
import { kubectl } from "../../platform/kubernetes/kubectl";
import { readPodLog } from "../../platform/kubernetes/logs";
import { amountOf } from "../../platform/kubernetes/quantity";
import { UserError } from "../../platform/process";
import { within } from "../../platform/within";
import { askCluster, clusterAt, json, kubectlWords } from "../kubernetes/ask";
import { checkTarget } from "../kubernetes/check";
import { type PodFacts, podsOfStack } from "../kubernetes/pods";
import { throughEdge } from "../kubernetes/through";
import { unreached, unreachedWords } from "../kubernetes/unreached";
import { workloadsOfStack } from "../kubernetes/workloads";
import { fromArgument } from "../logs/clusterLogs";
import { listedModels } from "../smoke/listed";
import { lookAtCertificate, sendTo } from "../smoke/tlsBox";
import type { ClusterFacts, ClusterJob, ClusterNode } from "./clusterFacts";
import type { CollectOptions } from "./collect";
import { namesIn } from "./collectRequests";
import type { Answer } from "./facts";
import { parseRequest } from "./requests";

/** Milliseconds for an answer of the edge. */
const ANSWER_MS = 8_000;

const quantities = z.record(z.string(), z.string()).default({});
const labels = z.record(z.string(), z.string()).default({});
const conditions = z
  .array(
    z.object({
      type: z.string(),
      status: z.string(),
      reason: z.string().optional(),
      message: z.string().optional(),
    }),
  )
  .default([]);
const nodeList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ unschedulable: z.boolean().default(false) }).prefault({}),
      status: z.object({ conditions, capacity: quantities, allocatable: quantities }).prefault({}),
    }),
  ),
});
const jobList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        labels,
        annotations: labels,
        creationTimestamp: z.string().default(""),
        ownerReferences: z.array(z.object({ kind: z.string(), name: z.string() })).default([]),
      }),
      status: z.object({ conditions, succeeded: z.number().default(0) }).prefault({}),
    }),
  ),
});
const claimList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), labels }),
      status: z.object({ phase: z.string().default("Pending") }).prefault({}),
    }),
  ),
});
const namespaceObject = z.object({
  metadata: z.object({ labels, deletionTimestamp: z.string().optional() }),
});

export type CollectClusterOptions = Omit<CollectOptions, "projectDir">;

/** Collects everything that the doctor's rows for a cluster check. Changes nothing, and leaves out what it cannot read. */
export async function collectCluster(options: CollectClusterOptions): Promise<ClusterFacts> {
  const { box, clientModel } = options;
  const cluster = clusterAt(box);
  const words = { kubectl: kubectlWords(cluster) };
  const reached = await kubectl(cluster, ["version", ...json]);
  if (reached.code !== 0)
    return {
      ...words,
      ...{ unread: {}, clientModel, unreached: unreachedWords(unreached(reached), cluster.context) },
    };
  const unread: ClusterFacts["unread"] = {};
  const look = async <Read>(
    fact: keyof ClusterFacts,
    read: () => Promise<Read>,
  ): Promise<Read | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      unread[fact] = halfSentence(error.what);
      return undefined;
    }
  };
  const get = (...args: string[]) => askCluster(cluster, ["get", ...args]);
  const mine = ["--selector", `gpubox.stack=${box.stack}`];
  const [namespace, ground, nodes, workloads, pods, jobs, claims, secrets, edge] = await Promise.all([
    look("namespace", async () =>
      namespaceIn(await get("namespace", cluster.namespace, "--ignore-not-found", ...json)),
    ),
    look("ground", () => checkTarget(box)),
    look("nodes", async () => nodeList.parse(JSON.parse(await get("nodes", ...json))).items.map(nodeIn)),
    look("workloads", () => workloadsOfStack(box)),
    look("pods", () => podsOfStack(box)),
    look("jobs", async () => jobsIn(await get("jobs", ...json), box.stack)),
    look("claims", async () =>
      claimList.parse(JSON.parse(await get("pvc", ...mine, ...json))).items.map(({ metadata, status }) => ({
        ...{ name: metadata.name, role: metadata.labels["gpubox.role"] ?? "", phase: status.phase },
      })),
    ),
    look("secrets", async () =>
      (await get("secrets", "--output", 'jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}'))
        .split("\n")
        .filter(Boolean),
    ),
    edgeFacts(options),
  ]);
  return {
    ...words,
    ...{ namespace, ground, nodes, workloads, pods, jobs, claims, secrets, unread, clientModel },
    ...edge,
    ...(pods ? await logFacts(options, pods) : {}),
  };
}

function halfSentence(text: string): string {
  return `${text[0]!.toLowerCase()}${text.slice(1)}`.replace(/\.$/, "");
}

function namespaceIn(text: string): ClusterFacts["namespace"] {
  if (text.trim() === "") return false;
  const { metadata } = namespaceObject.parse(JSON.parse(text));
  const stack = metadata.labels["gpubox.stack"];
  return {
    terminating: metadata.deletionTimestamp !== undefined,
    ...(stack === undefined ? {} : { stack }),
  };
}

function nodeIn({ metadata, spec, status }: z.infer<typeof nodeList>["items"][number]): ClusterNode {
  const ready = status.conditions.find(({ type }) => type === "Ready");
  const said = (ready?.message || ready?.reason || "its agent says nothing").replace(/\.$/, "");
  const devices = Object.entries(status.capacity)
    // Resources of plugins have the plugin's domain before their name.
    .filter(([name]) => name.includes("/"))
    .map(([name, has]) => [name, { has: amountOf(has), gives: amountOf(status.allocatable[name] ?? "0") }]);
  return {
    ...{ name: metadata.name, ready: ready?.status === "True", why: said },
    schedulable: !spec.unschedulable,
    pressures: status.conditions
      .filter(({ type, status: is }) => type.endsWith("Pressure") && is === "True")
      .map(({ type }) => type),
    devices: Object.fromEntries(devices),
  };
}

/** The stack's Jobs, and those that its CronJob made, which have no label. */
function jobsIn(text: string, stack: string): ClusterJob[] {
  return jobList.parse(JSON.parse(text)).items.flatMap(({ metadata, status }): ClusterJob[] => {
    const scheduled = metadata.ownerReferences.some(
      ({ kind, name }) => kind === "CronJob" && name === BACKUP_ROLE,
    );
    if (metadata.labels["gpubox.stack"] !== stack && !scheduled) return [];
    const failed = status.conditions.find(({ type, status: is }) => type === "Failed" && is === "True");
    const model = metadata.annotations["gpubox.model"];
    return [
      {
        ...{ name: metadata.name, role: scheduled ? BACKUP_ROLE : (metadata.labels["gpubox.role"] ?? "") },
        ...(model === undefined ? {} : { model }),
        state: failed ? "failed" : status.succeeded > 0 ? "done" : "runs",
        why: (failed?.message ?? failed?.reason ?? "").replace(/\.$/, ""),
        madeAt: metadata.creationTimestamp,
      },
    ];
  });
}

type EdgeFacts = Pick<ClusterFacts, "listed" | "listedNames" | "certificate" | "clientKey" | "unasked">;

/** What the edge says to clients, by a forward of its Service. */
async function edgeFacts({ box, config, secrets, clientKey }: CollectClusterOptions): Promise<EdgeFacts> {
  const key = config.gateway.auth === "key" ? secrets.masterKey : undefined;
  try {
    return await throughEdge(box, config, async (ways) => {
      const [listed, listedNames, theirs, certificate] = await Promise.all([
        askFor(ways, key),
        listedModels(ways.endpoint, key, sendTo(ways)),
        clientKey === undefined ? undefined : askFor(ways, clientKey),
        config.gateway.tls ? certificateOf(ways) : undefined,
      ]);
      const unasked = "failed" in listed ? `the edge gave no answer: ${listed.failed}` : undefined;
      return { listed, listedNames, clientKey: theirs, certificate, unasked };
    });
  } catch (error) {
    if (error instanceof UserError) return { unasked: halfSentence(error.what) };
    throw error;
  }
}

async function askFor(ways: BoxWays, key: string | undefined): Promise<Answer> {
  try {
    const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
    const answer = await within(ANSWER_MS, (signal) =>
      sendTo(ways)(`${ways.endpoint}/v1/models/${PROBE}`, { headers, redirect: "manual", signal }),
    );
    await answer.text();
    return { status: answer.status };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

async function certificateOf({ endpoint, clients }: BoxWays): Promise<{ ok: boolean; said: string }> {
  try {
    return { ok: true, said: await lookAtCertificate({ endpoint, ...clients }, 0) };
  } catch (error) {
    return { ok: false, said: error instanceof Error ? error.message : String(error) };
  }
}

/** What the logs of edge and gateways say of requests. */
async function logFacts(
  { box, since }: CollectClusterOptions,
  pods: PodFacts[],
): Promise<Pick<ClusterFacts, "requests" | "unknownModels">> {
  const from = fromArgument(since);
  const read = async (role: string) => {
    const ready = pods.filter((pod) => pod.role === role && pod.ready);
    const logs = await Promise.all(
      ready.map(({ name }) => readPodLog(clusterAt(box), { pod: name, container: "main" }, from)),
    );
    const known = logs.filter(({ code }) => code === 0).flatMap(({ stdout }) => stdout.split("\n"));
    if (ready.length === 0 || logs.every(({ code }) => code !== 0)) return undefined;
    // Of several pods, in the order of time.
    return known.sort().map((line) => line.slice(line.indexOf(" ") + 1));
  };
  const [edge, gateways] = await Promise.all([read(EDGE_ROLE), read(GATEWAY_ROLE)]);
  return {
    requests: edge?.map(parseRequest).filter((one) => one !== undefined),
    unknownModels: gateways && [...new Set(gateways.flatMap(namesIn))],
  };
}
