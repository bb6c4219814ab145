import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterFacts } from "../../../../operations/doctor/clusterFacts";
import {
  clusterRows,
  clusterRowsMarkdown,
  diagnoseCluster,
} from "../../../../operations/doctor/diagnoseCluster";
import { packageDir } from "../../../../platform/project";
import { clusterBox, pods, wellCluster, wellPods, workload, workloads } from "../../../support/clusterDoctor";
import { CRASHES, podObject } from "../../../support/clusterPods";

const NOW = new Date().toISOString();
const UP = "`gpubox up --stack test`";
const KUBECTL = "kubectl --context lab -n box";

test("every row is checked for a box that is well, and none applies", () => {
  const verdicts = diagnoseCluster(clusterBox, wellCluster);
  expect(verdicts.filter(({ state }) => state !== "ok")).toEqual([]);
  expect(verdicts.map(({ row }) => row)).toEqual(clusterRows.map(({ id }) => id));
});

const unready = { conditions: [{ type: "Ready", status: "False" }] };
const killed = (finishedAt: string, reason: string) => ({
  containerStatuses: [
    { ...CRASHES, state: { running: {} }, lastState: { terminated: { exitCode: 137, reason, finishedAt } } },
  ],
});
const job = (role: string) => wellCluster.jobs!.find((one) => one.role === role)!;

/** What is wrong, the row that says so, what it says, and what to do. */
const CASES: [Partial<ClusterFacts>, string, string, string][] = [
  [{ namespace: false }, "namespace", "There is no namespace box.", `Run ${UP}.`],
  [
    { namespace: { terminating: true } },
    "namespace",
    "The namespace box is being deleted, with everything in it.",
    `Wait until it is gone, then ${UP}; data comes back from a backup.`,
  ],
  [
    { namespace: { terminating: false, stack: "prod" } },
    "namespace",
    "The namespace box has the box of the stack prod.",
    "Write another one: gpubox:kubernetes.namespace.",
  ],
  [
    { ground: [{ path: "gpubox:models.tiny", level: "refused", what: "No GPU.", fix: "Add one." }] },
    "ground",
    "gpubox:models.tiny: No GPU.",
    "Add one.",
  ],
  [
    { nodes: [{ ...wellCluster.nodes![0]!, ready: false, why: "Kubelet stopped posting node status" }] },
    "node",
    "The node n1, which has pods of the box, is not ready: Kubelet stopped posting node status.",
    "Look at it: kubectl --context lab describe node n1.",
  ],
  [
    { nodes: [{ ...wellCluster.nodes![0]!, pressures: ["MemoryPressure"] }] },
    "node",
    "The node n1, which has pods of the box, reports MemoryPressure.",
    "Look at it: kubectl --context lab describe node n1.",
  ],
  [
    { nodes: [{ ...wellCluster.nodes![0]!, devices: { "nvidia.com/gpu": { has: 4, gives: 3 } } }] },
    "node",
    "The node n1 gives pods 3 of its 4 nvidia.com/gpu: the others are not healthy.",
    "Look at it: kubectl --context lab describe node n1.",
  ],
  [
    { claims: [{ name: "database", role: "database", phase: "Pending" }] },
    "claims",
    "The claim database has no volume yet (Pending).",
    `Its events say why: ${KUBECTL} describe pvc database. A class that waits for a pod gives it one with the pod.`,
  ],
  [
    { claims: [{ name: "database", role: "database", phase: "Lost" }] },
    "claims",
    "The claim database lost its volume, and what was on it.",
    "Delete the claim, run `gpubox up`, and restore a backup (docs/kubernetes.md).",
  ],
  [
    { secrets: wellCluster.secrets!.slice(1) },
    "secrets",
    `The namespace lacks the Secret ${wellCluster.secrets![0]}.`,
    `Run ${UP}: it writes them.`,
  ],
  [
    { workloads: workloads([]).filter(({ role }) => role !== "edge") },
    "edge",
    "The edge is not there.",
    `Run ${UP}.`,
  ],
  [
    { workloads: workloads([workload("edge", { wanted: 0, ready: 0 })]) },
    "edge",
    "The edge has no pod: somebody scaled it to 0.",
    `Give it back what the plan says: ${KUBECTL} scale deployment/edge --replicas 1, or ${UP}.`,
  ],
  [
    {
      workloads: workloads([workload("gateway", { wanted: 2, ready: 2, stuck: true })]),
      pods: pods(
        ...wellPods,
        podObject("gateway-2", "gateway", { status: { ...unready, containerStatuses: [CRASHES] } }),
      ),
    },
    "gateway",
    "The gateway: 2 of 2 pods are ready: it ended with exit code 1, started again 4 times. Its new pods did not become ready in time, and those before go on.",
    "Read `gpubox logs gateway --stack test`: its last lines say why.",
  ],
  [
    {
      workloads: workloads([workload("backend-tiny", { ready: 0 })]),
      pods: pods(
        podObject("t", "backend-tiny", {
          status: {
            conditions: [
              {
                ...{ type: "PodScheduled", status: "False" },
                message: "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
              },
            ],
            containerStatuses: [],
          },
        }),
      ),
    },
    "model",
    "Model tiny: 0 of 1 pods are ready: waits for a node: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    "Free a node or add one that has what the pod asks for, or ask for less in the stack's file.",
  ],
  [
    { workloads: workloads([workload("backend-tiny", { ready: 0, refused: "exceeded quota: team" })]) },
    "model",
    "Model tiny: 0 of 1 pods are ready: exceeded quota: team.",
    `Ask for what the namespace refuses, or give the part less: ${KUBECTL} describe deployment/backend-tiny.`,
  ],
  [
    {
      workloads: workloads([workload("backend-tiny", { ready: 0 })]),
      pods: pods(
        podObject("t", "backend-tiny", {
          status: {
            ...unready,
            containerStatuses: [
              { ...CRASHES, lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } } },
            ],
          },
        }),
      ),
    },
    "model",
    "Model tiny: 0 of 1 pods are ready: killed, out of memory, started again 4 times.",
    `Raise gpubox:models.tiny.memoryMiB, then ${UP}.`,
  ],
  [
    { workloads: workloads([workload("cache", { ready: 0 })]), pods: [] },
    "redis",
    "Redis: 0 of 1 pods are ready: the cluster has made no pod yet.",
    "Wait, and read `gpubox logs cache --stack test`.",
  ],
  [
    { workloads: workloads([workload("database", { ready: 0 })]), pods: [] },
    "postgres",
    "Postgres: 0 of 1 pods are ready: the cluster has made no pod yet.",
    "Wait, and read `gpubox logs database --stack test`.",
  ],
  [
    { jobs: [{ ...job("migrate"), state: "failed", why: "Job has reached the specified backoff limit" }] },
    "jobs",
    "The migration of the database failed, and new gateways wait for it: Job has reached the specified backoff limit.",
    `Read \`gpubox logs migrate --stack test\`, correct it, then ${UP}: a failed Job is made anew.`,
  ],
  [
    { jobs: [{ ...job("prove"), model: "tiny", state: "failed", why: "it was too slow" }] },
    "jobs",
    "The proof of model tiny failed: it was too slow.",
    `Read \`gpubox logs tiny --stack test\`, correct it, then ${UP}: a failed Job is made anew.`,
  ],
  [
    { pods: pods(podObject("t", "backend-tiny", { status: killed(NOW, "OOMKilled") })) },
    "memory",
    `t was killed: it needed more memory than its limit at ${NOW}, and was started again 4 times.`,
    `Raise gpubox:models.tiny.memoryMiB, then ${UP}.`,
  ],
  [
    { pods: pods(podObject("e", "edge", { status: killed(NOW, "Error") })) },
    "restarted",
    `e ended with exit code 137 at ${NOW}, and was started again 4 times.`,
    "Read `gpubox logs edge --stack test`: the lines before its start say why.",
  ],
  [
    { listedNames: ["held"] },
    "listed",
    "The edge does not list tiny.",
    `Run ${UP}; if it failed, its last lines say why.`,
  ],
  [
    { listedNames: ["held", "tiny", "old"] },
    "listed",
    "The edge lists old, which the stack config does not declare.",
    `Run ${UP}; if it failed, its last lines say why.`,
  ],
  [
    { certificate: { ok: false, said: "the certificate expired on Nov 1" } },
    "certificate",
    "Clients refuse the edge: the certificate expired on Nov 1.",
    "Put a new certificate and key into the stack's secrets (gpubox:gateway.tls), then `gpubox up`.",
  ],
  [
    { pods: pods(podObject("g", "gateway", { labels: { "gpubox.generation": "0ld" } })) },
    "changed",
    `The config plans the gateway ${clusterBox.gateway.generation}, and 1 of 1 gateways serve 0ld.`,
    `Run ${UP}; if it failed, its last lines say why.`,
  ],
  [
    { listed: { status: 401 } },
    "key",
    "The box does not accept the master key of the stack config, which changed since the last `up`.",
    `Run ${UP}: it activates the new key without an outage.`,
  ],
];

test.each(CASES)("%#: %s", (facts, row, what, fix) => {
  const found = diagnoseCluster(clusterBox, { ...wellCluster, ...facts }).filter(
    ({ state }) => state !== "ok",
  );
  expect(found.find((one) => one.row === row)?.findings).toEqual([{ what, fix }]);
});

test("each row of its own has a case, and what is only told is a note", () => {
  const shared = [
    "cluster",
    "unknown-model",
    "wrong-key",
    "admin-route",
    "host-name",
    "odd-path",
    "web-page",
  ];
  const own = clusterRows
    .map(({ id }) => id)
    .filter((id) => ![...shared, "slow-client", "failed"].includes(id));
  expect([...new Set(CASES.map(([, row]) => row))].sort()).toEqual(own.sort());
  const notes = clusterRows.filter(({ level }) => level === "note").map(({ id }) => id);
  expect(notes.filter((id) => own.includes(id)).sort()).toEqual(["changed", "restarted"]);
});

test("only the last backup counts, and a Job of an earlier config does not", () => {
  const backup = { ...job("prove"), role: "backup", why: "no room" };
  const jobs = [
    { ...backup, name: "backup-2", state: "done" as const, madeAt: "2026-11-02" },
    { ...backup, name: "backup-1", state: "failed" as const, madeAt: "2026-11-01" },
    { ...job("prove"), name: "prove-old", state: "failed" as const },
  ];
  const found = (all: ClusterFacts["jobs"]) =>
    diagnoseCluster(clusterBox, { ...wellCluster, jobs: all }).find(({ row }) => row === "jobs")!.findings;
  expect(found(jobs)).toEqual([]);
  expect(found(jobs.slice(1)).map(({ what }) => what)).toEqual(["The last backup failed: no room."]);
});

test("the end of a container counts for a day", () => {
  const old = podObject("e", "edge", { status: killed("2026-01-01T00:00:00Z", "Error") });
  const states = diagnoseCluster(clusterBox, { ...wellCluster, pods: pods(old) });
  expect(states.find(({ row }) => row === "restarted")!.state).toBe("ok");
});

test("of a cluster that does not answer nothing else is judged", () => {
  const unreached = { what: "It does not answer.", fix: "Is the VPN up?" };
  const [first, ...rest] = diagnoseCluster(clusterBox, { unreached, unread: {}, kubectl: KUBECTL });
  expect(first).toMatchObject({ row: "cluster", state: "wrong", findings: [unreached] });
  expect([...new Set(rest.map(({ state, because }) => `${state}: ${because}`))]).toEqual([
    "not looked at: the cluster does not answer",
  ]);
});

test("a row that nobody could look at says why", () => {
  const nothing = { unread: { nodes: "you may not list nodes" }, unasked: "no edge runs", kubectl: KUBECTL };
  const verdicts = diagnoseCluster(clusterBox, nothing);
  const why = Object.fromEntries(verdicts.map(({ row, because }) => [row, because]));
  expect(why).toMatchObject({ node: "you may not list nodes", listed: "no edge runs", key: "no edge runs" });
  expect(verdicts.filter(({ state }) => state !== "not looked at").map(({ row }) => row)).toEqual([
    "cluster",
  ]);
});

test("docs/kubernetes.md holds the table of rows", () => {
  const text = readFileSync(join(packageDir, "docs/kubernetes.md"), "utf8");
  // The formatter pads the columns.
  const plain = (table: string) =>
    table
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => line.replace(/ +/g, " ").replace(/-{3,}/g, "---"));
  const section = /^### What `gpubox doctor` looks for there\n([\s\S]*?)^## /m.exec(text)?.[1] ?? "";
  expect(plain(section)).toEqual(plain(clusterRowsMarkdown()));
});
