import type { Failure } from "../../configs/kit/problems";
import { typed } from "../../configs/kit/text";
import { type Demand, fits, modelOf, type Workload } from "./demand";
import { installs, isExtension } from "./extensions";
import { type GroundFinding, pathOf, type Site, some } from "./finding";
import type { ClusterGround } from "./ground";
import { UNKNOWN_IMAGE } from "./imageVolumes";
import { judgeImageVolumes } from "./judgeImageVolumes";
import { judgeQuotas } from "./judgeQuotas";
import { type Unreached, unreachedWords } from "./unreached";

/** Namespaces that belong to the cluster. */
const SYSTEM_NAMESPACE = /^(kube-.*|default)$/;

/** Why a cluster would refuse the box, or leave parts of it waiting for ever. Empty: nothing is in the way. */
export function judgeGround(site: Site, demand: Demand, ground: ClusterGround | Unreached): GroundFinding[] {
  if ("unreached" in ground)
    return [refused("gpubox:kubernetes.context", unreachedWords(ground, site.context))];
  const owner = judgeNamespace(site, demand, ground);
  // In a namespace of somebody else nothing else counts.
  if (owner.length > 0) return owner;
  const quotas = judgeQuotas(demand, ground, site);
  const found = [
    ...judgeKinds(demand, ground),
    ...judgeStorage(demand, ground),
    ...judgeSecrets(site, demand, ground),
    ...judgeDevices(demand, ground),
    ...judgeImageVolumes(demand, ground),
    ...quotas,
    ...judgeRefusals(site, demand, ground, quotas.length > 0),
  ];
  return [...found, ...judgeUnread(ground)];
}

function refused(path: string, { what, fix }: Failure): GroundFinding {
  return { path, what, fix, level: "refused" };
}

const NAMESPACE = "gpubox:kubernetes.namespace";

function judgeNamespace(
  { namespace, stack }: Site,
  { objects }: Demand,
  ground: ClusterGround,
): GroundFinding[] {
  const another = `Write another one, for example ${NAMESPACE}: gpubox-${stack}.`;
  if (SYSTEM_NAMESPACE.test(namespace))
    return [refused(NAMESPACE, { what: `The namespace ${namespace} is the cluster's own.`, fix: another })];
  if (ground.namespace?.terminating)
    return [
      refused(NAMESPACE, {
        what: `The namespace ${namespace} is being deleted.`,
        fix: `Wait until \`kubectl get namespace ${namespace}\` finds it no more.`,
      }),
    ];
  const owners = [
    ground.namespace?.labels["gpubox.stack"],
    ...ground.present.map(({ stack: whose }) => whose),
  ].filter((whose) => whose !== undefined && whose !== stack);
  if (owners.length > 0)
    return [
      refused(NAMESPACE, {
        what: `The namespace ${namespace} has the box of the stack "${owners[0]}".`,
        fix: another,
      }),
    ];
  const strangers = ground.present.filter(
    (there) =>
      there.stack === undefined &&
      objects.some((one) => one.kind === there.kind && one.metadata.name === there.name),
  );
  if (strangers.length === 0) return [];
  const names = strangers.map(({ kind, name }) => `${kind} ${name}`);
  return [
    refused(NAMESPACE, {
      what: `The namespace ${namespace} has ${some(names)} that gpubox did not make, and the box would take ${names.length > 1 ? "their places" : "its place"}.`,
      fix: another,
    }),
  ];
}

function judgeKinds({ objects, models }: Demand, { kinds }: ClusterGround): GroundFinding[] {
  const missing = objects.filter(
    (one) => isExtension(one) && !kinds.includes(`${one.apiVersion} ${one.kind}`),
  );
  const sorts = [...new Set(missing.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))];
  return sorts.map((sort) => {
    const [apiVersion, kind] = sort.split(" ") as [string, string];
    const of = missing.filter((one) => one.kind === kind && one.apiVersion === apiVersion);
    const install = installs(apiVersion);
    const model = of.map((one) => modelOf(one, models)).find(Boolean);
    return refused(pathOf(model), {
      what: `The cluster knows no ${kind} of ${apiVersion}, which ${some(of.map(({ metadata }) => metadata.name))} ${of.length > 1 ? "are" : "is"}.`,
      fix: install
        ? `Install what serves it: \`${install}\`.`
        : `Install its custom resource definition, or leave out the key that makes it.`,
    });
  });
}

function judgeStorage({ claims }: Demand, { storageClasses }: ClusterGround): GroundFinding[] {
  if (!storageClasses || claims.length === 0) return [];
  const path = "gpubox:kubernetes.storageClass";
  const names = storageClasses.map(({ name }) => name);
  const choice =
    names.length === 0
      ? "Install a provisioner first: the cluster has no storage class at all."
      : `Write ${path} with one of: ${names.join(", ")}.`;
  const byDefault = claims.filter(({ storageClass }) => storageClass === undefined).map(({ name }) => name);
  const lacksDefault = byDefault.length > 0 && !storageClasses.some(({ isDefault }) => isDefault);
  const named = [...new Set(claims.flatMap(({ storageClass }) => storageClass || []))];
  return [
    ...(lacksDefault
      ? [
          refused(path, {
            what: `The cluster has no default storage class, and ${some(byDefault)} ${byDefault.length > 1 ? "name" : "names"} none.`,
            fix: choice,
          }),
        ]
      : []),
    ...named
      .filter((name) => !names.includes(name))
      .map((name) => refused(path, { what: `The cluster has no storage class "${name}".`, fix: choice })),
  ];
}

function judgeSecrets(
  { stack, namespace }: Site,
  { secrets }: Demand,
  ground: ClusterGround,
): GroundFinding[] {
  return secrets.flatMap(({ name, keys, by, pulls }) => {
    if (ground.unread.includes(`the Secret ${name}`)) return [];
    const there = ground.secrets[name];
    const lacking = keys.filter((key) => !there?.includes(key));
    if (there && lacking.length === 0) return [];
    return [
      refused(pulls ? "gpubox:kubernetes.imagePullSecrets" : "gpubox:kubernetes", {
        what: there
          ? `The Secret ${name} has no ${some(lacking)}, which ${some(by)} ${by.length > 1 ? "read" : "reads"}.`
          : `There is no Secret ${name}, which ${some(by)} ${by.length > 1 ? "read" : "reads"}.`,
        fix: pulls
          ? `Make it with \`kubectl create secret docker-registry ${name} --namespace ${namespace} …\`, or leave it out.`
          : `Write the stack's secrets to the cluster: \`gpubox manifests secrets --stack ${typed(stack)}\`.`,
      }),
    ];
  });
}

/** Resources that every node has; any other one is a device plugin's. */
const EVERYWHERE = /^(cpu|memory|ephemeral-storage|pods|hugepages-.*)$/;

function judgeDevices({ workloads }: Demand, { nodes }: ClusterGround): GroundFinding[] {
  if (!nodes) return [];
  const asking = workloads.flatMap((one) =>
    Object.entries(one.requests)
      .filter(([resource, amount]) => !EVERYWHERE.test(resource) && amount > 0)
      .map(([resource, amount]) => ({ ...one, resource, amount })),
  );
  const unfit = asking.filter(({ resource, amount, nodeSelector }) =>
    nodes.every(
      ({ labels, allocatable }) => !fits(labels, nodeSelector) || (allocatable[resource] ?? 0) < amount,
    ),
  );
  const refusals = unfit.map((one) => refused(pathOf(one.model), nodeWords(one, nodes)));
  const waiting = [...new Set(asking.map(({ resource }) => resource))].flatMap(
    (resource): GroundFinding[] => {
      const asked = asking.filter((one) => one.resource === resource);
      const sum = asked.reduce((total, { amount, pods }) => total + amount * pods, 0);
      const there = nodes.reduce((total, { allocatable }) => total + (allocatable[resource] ?? 0), 0);
      if (sum <= there || asked.some((one) => unfit.includes(one))) return [];
      return [
        {
          path: "gpubox:models",
          level: "note",
          what: `The models ask for ${sum} ${resource} together, and all nodes have ${there}: pods would wait.`,
          fix: "Add nodes, or let fewer models or replicas run; a cluster that adds nodes by itself will do so.",
        },
      ];
    },
  );
  return [...refusals, ...waiting];
}

function nodeWords(
  { name, resource, amount, nodeSelector }: Workload & { resource: string; amount: number },
  nodes: NonNullable<ClusterGround["nodes"]>,
): Failure {
  const selected = nodes.filter(({ labels }) => fits(labels, nodeSelector));
  const most = (among: typeof nodes) =>
    Math.max(0, ...among.map(({ allocatable }) => allocatable[resource] ?? 0));
  if (most(nodes) === 0)
    return {
      what: `${name} asks for ${amount} ${resource}, and no node has any.`,
      fix: `Install the vendor's device plugin (\`kubectl get nodes --output custom-columns=NAME:.metadata.name,HAS:.status.allocatable\` shows what nodes have), or correct gpubox:kubernetes.gpuResources.`,
    };
  const [labels, where] = [
    Object.entries(nodeSelector).map(([key, value]) => `${key}=${value}`),
    "nodes with ",
  ];
  const among = labels.length > 0 ? `${where}${labels.join(", ")}` : "nodes";
  return most(selected) === 0
    ? {
        what: `${name} asks for ${amount} ${resource}, and no node with ${labels.join(", ")} has any.`,
        fix: "Correct the model's kubernetes.nodeSelector, or label the nodes.",
      }
    : {
        what: `${name} asks for ${amount} ${resource} on one node, and the largest of the ${among} has ${most(selected)}.`,
        fix: "Use fewer devices on a node, or let the model span several nodes.",
      };
}

/** Label of a namespace with the Pod Security that it enforces. */
const ENFORCED = "pod-security.kubernetes.io/enforce";

function judgeRefusals(
  { namespace }: Site,
  { objects }: Demand,
  { refusals, imageVolumes }: ClusterGround,
  quotaTold: boolean,
): GroundFinding[] {
  const brought = objects.find(({ kind }) => kind === "Namespace")?.metadata.labels?.[ENFORCED];
  return refusals
    .filter((said) => !(quotaTold && /quota/.test(said)))
    .filter((said) => !(imageVolumes === false && UNKNOWN_IMAGE.test(said)))
    .filter((said) => {
      const level = /violates PodSecurity "([a-z]+):/.exec(said)?.[1];
      // The namespace comes with the objects, and before its pods.
      return level === undefined || brought === undefined || brought === level;
    })
    .map((said) => {
      if (/violates PodSecurity/.test(said))
        return refused(NAMESPACE, {
          what: `The namespace ${namespace} enforces a stricter Pod Security than a part of the box needs: ${said}.`,
          fix: /hostPath/.test(said)
            ? `Let who has it write the label ${ENFORCED}=privileged, or keep the models' files elsewhere: weights.volume: own, shared or pod.`
            : "Give the namespace the level of docs/kubernetes.md, or use one that gpubox makes.",
        });
      if (/ is forbidden: User | cannot (create|patch|update) /.test(said))
        return refused("gpubox:kubernetes.context", {
          what: `You may not do that there: ${said}.`,
          fix: `Ask for the role "admin" in the namespace ${namespace}, or use another context.`,
        });
      return refused("gpubox:kubernetes", {
        what: `The API server refuses a part of the box: ${said}.`,
        fix: "Correct what it names; `kubectl apply --dry-run=server` shows it again.",
      });
    });
}

function judgeUnread({ unread }: ClusterGround): GroundFinding[] {
  if (unread.length === 0) return [];
  return [
    {
      path: "gpubox:kubernetes.context",
      level: "note",
      what: `You may not read ${some([...new Set(unread)])} of this cluster, so nobody looked there.`,
      fix: "Ask for the right to list them, or let somebody who has it run this check.",
    },
  ];
}
