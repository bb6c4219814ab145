import type { BoxPlan } from "../../configs/kit/types";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
import { BACKUP_ROLE, GATEWAY_ROLE } from "../../configs/plan/kubernetes/roles";
import { isServed } from "../../configs/stack/wildcards";
import { some } from "../kubernetes/finding";
import type { ClusterFacts, ClusterJob, ClusterNode } from "./clusterFacts";
import { logsCommand, type Row, upCommand } from "./row";

/** Rows about the ground that a box on a cluster stands on. */
export const clusterGroundRows: Row<ClusterFacts>[] = [
  {
    id: "cluster",
    symptom: "every verb ends at once: `The context … does not answer`",
    cause: "the kubeconfig, the login, the VPN, or the API server",
    check: (_, { unreached }) => (unreached ? [unreached] : []),
  },
  {
    id: "namespace",
    symptom: "`namespaces … not found`; objects vanish",
    cause: "the stack was never brought up, or somebody deletes its namespace",
    check: (box, { namespace }) => {
      const { namespace: name } = clusterOf(box);
      if (namespace === undefined) return undefined;
      if (!namespace) return [{ what: `There is no namespace ${name}.`, fix: `Run ${upCommand(box)}.` }];
      if (namespace.terminating)
        return [
          {
            what: `The namespace ${name} is being deleted, with everything in it.`,
            fix: `Wait until it is gone, then ${upCommand(box)}; data comes back from a backup.`,
          },
        ];
      return namespace.stack === undefined || namespace.stack === box.stack
        ? []
        : [
            {
              what: `The namespace ${name} has the box of the stack ${namespace.stack}.`,
              fix: "Write another one: gpubox:kubernetes.namespace.",
            },
          ];
    },
  },
  {
    id: "ground",
    symptom: "`up` refuses the cluster",
    cause: "a storage class, a quota, GPUs, a kind or a right that the box needs (`gpubox manifests check`)",
    check: (_, { ground }) =>
      ground
        ?.filter(({ level }) => level === "refused")
        .map(({ path, what, fix }) => ({ what: `${path}: ${what}`, fix })),
  },
  {
    id: "node",
    symptom: "pods wait, move, or vanish together",
    cause: "a node does not answer, runs out of memory or disk, or lost its GPUs",
    check: (box, { nodes, pods, kubectl }) => {
      if (!nodes || !pods) return undefined;
      const used = new Set(pods.flatMap(({ node }) => (node ? [node] : [])));
      const look = (name: string) => `${kubectl.replace(/ -n .*$/, "")} describe node ${name}`;
      return nodes.flatMap((node) =>
        nodeWords(box, node, used).map((what) => ({ what, fix: `Look at it: ${look(node.name)}.` })),
      );
    },
  },
  {
    id: "claims",
    symptom: "Postgres or a model waits for its volume",
    cause: "no storage class, none with room, or a volume on a node that is away",
    check: (_, { claims, kubectl }) =>
      claims
        ?.filter(({ phase }) => phase !== "Bound")
        .map(({ name, phase }) => ({
          what:
            phase === "Lost"
              ? `The claim ${name} lost its volume, and what was on it.`
              : `The claim ${name} has no volume yet (${phase}).`,
          fix:
            phase === "Lost"
              ? "Delete the claim, run `gpubox up`, and restore a backup (docs/kubernetes.md)."
              : `Its events say why: ${kubectl} describe pvc ${name}. A class that waits for a pod gives it one with the pod.`,
        })),
  },
  {
    id: "secrets",
    symptom: "pods wait with `secret … not found`",
    cause: "somebody deleted a Secret of the box, or it was never written",
    check: (box, { secrets }) => {
      if (!secrets) return undefined;
      const missing = renderKubernetes(box)
        .secrets.map(({ metadata }) => metadata.name)
        .filter((name) => !secrets.includes(name));
      return missing.length === 0
        ? []
        : [
            {
              what: `The namespace lacks the Secret${missing.length > 1 ? "s" : ""} ${some(missing)}.`,
              fix: `Run ${upCommand(box)}: it writes them.`,
            },
          ];
    },
  },
];

function nodeWords(box: BoxPlan, node: ClusterNode, used: Set<string>): string[] {
  const { name, ready, why, pressures, devices } = node;
  const lost = Object.entries(devices)
    .filter(
      ([resource, { has, gives }]) =>
        gives < has && Object.values(clusterOf(box).settings.gpuResources).includes(resource),
    )
    .map(
      ([resource, { has, gives }]) =>
        `The node ${name} gives pods ${gives} of its ${has} ${resource}: the others are not healthy.`,
    );
  if (!used.has(name)) return lost;
  if (!ready) return [`The node ${name}, which has pods of the box, is not ready: ${why}.`];
  return [
    ...pressures.map((pressure) => `The node ${name}, which has pods of the box, reports ${pressure}.`),
    ...lost,
  ];
}

/** What the failure of a Job of a part means. */
const JOBS: Record<string, string> = {
  migrate: "The migration of the database failed, and new gateways wait for it",
  access: "Declared teams and keys did not get into the database",
  backup: "The last backup failed",
};

function jobFindings(box: BoxPlan, jobs: ClusterJob[]) {
  const planned = new Set(
    renderKubernetes(box).objects.flatMap(({ kind, metadata }) => (kind === "Job" ? [metadata.name] : [])),
  );
  const backups = jobs
    .filter(({ role }) => role === BACKUP_ROLE)
    .sort((a, b) => (a.madeAt < b.madeAt ? -1 : 1));
  const last = backups.at(-1);
  return [...jobs.filter(({ name }) => planned.has(name)), ...(last ? [last] : [])]
    .filter(({ state }) => state === "failed")
    .map(({ role, model, why }) => ({
      what: `${model === undefined ? (JOBS[role] ?? `The Job of ${role} failed`) : `The proof of model ${model} failed`}: ${why}.`,
      fix: `Read ${logsCommand(box, model ?? role)}${role === BACKUP_ROLE ? "" : `, correct it, then ${upCommand(box)}: a failed Job is made anew`}.`,
    }));
}

/** Milliseconds for which the end of a container is told. */
const DAY_MS = 86_400_000;

/** Rows about what the box does. */
export const clusterWorkRows: Row<ClusterFacts>[] = [
  {
    id: "jobs",
    symptom: "`up` fails at a Job; no new backup",
    cause: "a proof, the migration, the declared keys, or a backup failed",
    check: (box, { jobs }) => jobs && jobFindings(box, jobs),
  },
  {
    id: "memory",
    symptom: "a pod starts again now and then with `OOMKilled`",
    cause: "it reaches its memory limit; its node starts it again",
    check: (box, facts) => endings(box, facts, true),
  },
  {
    id: "restarted",
    symptom: "a request broke off, and everything works again",
    cause: "a container ended by itself within the last day, and its node started it again",
    level: "note",
    check: (box, facts) => endings(box, facts, false),
  },
  {
    id: "listed",
    symptom: "`/v1/models` lacks a model, or has one that is not declared",
    cause: "gateways of an earlier config serve",
    check: (box, { listedNames }) => {
      if (!listedNames) return undefined;
      const missing = box.models.filter((name) => !name.includes("*") && !listedNames.includes(name));
      const extra = listedNames.filter((name) => !isServed(name, box.models));
      return [
        ...(missing.length > 0 ? [`The edge does not list ${some(missing)}.`] : []),
        ...(extra.length > 0
          ? [`The edge lists ${some(extra)}, which the stack config does not declare.`]
          : []),
      ].map((what) => ({ what, fix: `Run ${upCommand(box)}; if it failed, its last lines say why.` }));
    },
  },
  {
    id: "certificate",
    symptom: "clients refuse the certificate",
    cause: "it expired, or is not for the name that clients use",
    check: (_, { certificate }) =>
      certificate &&
      (certificate.ok
        ? []
        : [
            {
              what: `Clients refuse the edge: ${certificate.said}.`,
              fix: "Put a new certificate and key into the stack's secrets (gpubox:gateway.tls), then `gpubox up`.",
            },
          ]),
  },
  {
    id: "changed",
    symptom: "a change of the stack config does nothing",
    cause: "nobody ran `up` since, or its gateways did not pass their proof",
    level: "note",
    check: (box, { pods }) => {
      if (!pods) return undefined;
      const serving = pods.filter(({ role, ready }) => role === GATEWAY_ROLE && ready);
      const old = serving.filter(({ labels }) => labels["gpubox.generation"] !== box.gateway.generation);
      return old.length === 0
        ? []
        : [
            {
              what: `The config plans the gateway ${box.gateway.generation}, and ${old.length} of ${serving.length} gateways serve ${old[0]!.labels["gpubox.generation"] ?? "another one"}.`,
              fix: `Run ${upCommand(box)}; if it failed, its last lines say why.`,
            },
          ];
    },
  },
];

/** Containers that ended by themselves within a day and run again, or try to. */
function endings(box: BoxPlan, { pods }: ClusterFacts, memory: boolean, now = Date.now()) {
  return pods?.flatMap(({ name, role, containers }) =>
    containers.flatMap(({ restarts, ended }) => {
      const at = ended?.finishedAt;
      if (!ended || restarts === 0 || !at || now - new Date(at).getTime() > DAY_MS) return [];
      if ((ended.reason === "OOMKilled") !== memory) return [];
      const times = `started again ${restarts === 1 ? "once" : `${restarts} times`}`;
      const how = memory
        ? "was killed: it needed more memory than its limit"
        : `ended with exit code ${ended.exitCode}`;
      const model = box.backends.find(({ service }) => service.container.name === role)?.model;
      const raise = model ? `Raise gpubox:models.${model}.memoryMiB, then ${upCommand(box)}.` : undefined;
      return [
        {
          what: `${name} ${how} at ${at}, and was ${times}.`,
          fix: (memory && raise) || `Read ${logsCommand(box, role)}: the lines before its start say why.`,
        },
      ];
    }),
  );
}
