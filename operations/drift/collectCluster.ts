import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import type { KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { roleOf } from "../../configs/plan/kubernetes/order";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
import { documents, kubectl } from "../../platform/kubernetes/kubectl";
import { askCluster, clusterAt, json, kubectlWords, notAnswered } from "../kubernetes/ask";
import { isExtension } from "../kubernetes/extensions";
import { OWN_KINDS } from "../kubernetes/ground";
import { FIELD_MANAGER } from "../kubernetes/rehearse";
import { lastWords } from "../kubernetes/unreached";
import { type ClusterDriftFacts, keyOf, type Named } from "./clusterDrift";
import { type FieldFinding, fieldFindings, managedFields } from "./fields";

const liveObject = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    ownerReferences: z.array(z.unknown()).default([]),
    managedFields,
  }),
});
type Live = z.infer<typeof liveObject>;
const liveList = z.object({ items: z.array(liveObject) });

/** Names, parts and owners alone: a Secret's values stay in kubectl. */
const SECRETS =
  '{range .items[*]}{.metadata.name}{"\\t"}{.metadata.labels.gpubox\\.role}{"\\t"}{.metadata.ownerReferences[*].kind}{"\\n"}{end}';
const WITHOUT_SECRETS = OWN_KINDS.split(",")
  .filter((kind) => kind !== "secrets")
  .join();

/**
 * A box on a cluster as it is, beside its plan. It reads, and lets the server rehearse what it would make of the plan.
 *
 * @throws UserError where the cluster cannot be asked
 */
export async function collectClusterDrift(box: BoxPlan): Promise<ClusterDriftFacts> {
  const cluster = clusterAt(box);
  const { objects, secrets } = renderKubernetes(box);
  const mine = ["--selector", `gpubox.stack=${box.stack}`];
  const notChecked: string[] = [];
  const [own, secretNames, namespace, grown] = await Promise.all([
    askCluster(cluster, ["get", WITHOUT_SECRETS, ...mine, "--show-managed-fields", ...json]),
    kubectl(cluster, ["get", "secrets", ...mine, "--output", `jsonpath=${SECRETS}`]),
    kubectl(cluster, ["get", "namespace", cluster.namespace, "--ignore-not-found", ...json]),
    extensions(box, objects, notChecked),
  ]);
  const live = [...liveList.parse(JSON.parse(own)).items, ...grown].filter(
    // What a controller makes of another object, such as a Job of a CronJob, goes with that.
    ({ metadata }) => metadata.ownerReferences.length === 0,
  );
  const isRead = { secrets: secretNames.code === 0, namespace: namespace.code === 0 };
  if (!isRead.secrets) notChecked.push(`Secrets: ${lastWords(secretNames)}`);
  if (!isRead.namespace) notChecked.push(`the namespace: ${lastWords(namespace)}`);
  const planned = [
    ...objects.filter(({ kind }) => kind !== "Namespace" || isRead.namespace),
    ...(isRead.secrets ? secrets.map(({ metadata }) => ({ kind: "Secret", metadata })) : []),
  ];
  const found: Named[] = [
    ...live.map(named),
    ...(isRead.secrets ? secretsIn(secretNames.stdout) : []),
    ...(isRead.namespace && namespace.stdout.trim() !== ""
      ? [{ kind: "Namespace", name: cluster.namespace, role: "box" }]
      : []),
  ];
  return {
    planned: planned.map(named),
    // One that is there already may have no label of the stack's.
    found: found.filter(({ kind }) => kind !== "Namespace" || planned.some((one) => one.kind === kind)),
    fields: await changedFields(box, objects, live, notChecked),
    kubectl: kubectlWords(cluster),
    notChecked,
  };
}

function named({
  kind,
  metadata,
}: {
  kind: string;
  metadata: Live["metadata"] | KubernetesObject["metadata"];
}): Named {
  return {
    kind,
    name: metadata.name,
    role: roleOf({ metadata: { name: metadata.name, labels: metadata.labels } }),
  };
}

function secretsIn(text: string): Named[] {
  return text
    .split("\n")
    .map((line) => line.split("\t"))
    .flatMap(([name, role, owners]) =>
      name && !owners ? [{ kind: "Secret", name, role: role || "box" }] : [],
    );
}

/** Objects of other projects' kinds. Where the server does not know a kind, none is there. */
async function extensions(box: BoxPlan, objects: KubernetesObject[], notChecked: string[]): Promise<Live[]> {
  const cluster = clusterAt(box);
  const kinds = [
    ...new Set(objects.filter(isExtension).map(({ apiVersion, kind }) => `${kind}.${groupOf(apiVersion)}`)),
  ];
  const mine = ["--selector", `gpubox.stack=${box.stack}`, "--show-managed-fields", ...json];
  const found = await Promise.all(
    kinds.map(async (kind) => {
      const answer = await kubectl(cluster, ["get", kind, ...mine]);
      if (answer.code === 0) return liveList.parse(JSON.parse(answer.stdout)).items;
      if (!/doesn't have a resource type/.test(answer.stderr))
        notChecked.push(`${kind}: ${lastWords(answer)}`);
      return [];
    }),
  );
  return found.flat();
}

function groupOf(apiVersion: string): string {
  return apiVersion.split("/")[0]!;
}

/** What of planned objects differs, by the server's own reckoning. */
async function changedFields(
  box: BoxPlan,
  objects: KubernetesObject[],
  live: Live[],
  notChecked: string[],
): Promise<Record<string, FieldFinding[]>> {
  const there = new Map(live.map((one) => [keyOf(named(one)), one]));
  const both = objects.filter((one) => there.has(keyOf(named(one))));
  if (both.length === 0) return {};
  const how = ["apply", "--server-side", "--dry-run=server", "--force-conflicts"];
  const as = [`--field-manager=${FIELD_MANAGER}`, "--show-managed-fields", ...json, "--filename", "-"];
  const answer = await kubectl(clusterAt(box), [...how, ...as], documents(both));
  if (answer.code === 127 || answer.code === 137) throw notAnswered(clusterAt(box), answer);
  if (answer.code !== 0) {
    notChecked.push(`fields of objects: ${lastWords(answer)}`);
    return {};
  }
  return Object.fromEntries(
    rehearsed(answer.stdout).flatMap((planned) => {
      const key = keyOf(named(planned));
      const one = there.get(key);
      const findings = one ? fieldFindings(one, planned, FIELD_MANAGER) : [];
      return findings.length > 0 ? [[key, findings]] : [];
    }),
  );
}

/** Several objects come as a list, and a single one as itself. */
function rehearsed(text: string): Live[] {
  const read: unknown = JSON.parse(text);
  const list = liveList.safeParse(read);
  return list.success ? list.data.items : [liveObject.parse(read)];
}
