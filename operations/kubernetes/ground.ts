import { z } from "zod";
import { parseJson } from "../../platform/json";
import { type Cluster, kubectl } from "../../platform/kubernetes/kubectl";
import { amountOf } from "../../platform/kubernetes/quantity";
import type { Demand } from "./demand";
import { isExtension } from "./extensions";
import { keepsImageVolumes, withImages } from "./imageVolumes";
import { type Amounts, numbers, type PodSpec, plus, podAmounts, podSpec } from "./podSpec";
import { rehearse } from "./rehearse";
import { type Unreached, unreached } from "./unreached";

/** Label of every object with the stack that it belongs to. */
export const STACK_LABEL = "gpubox.stack";

/** A quota of the namespace. */
export interface Quota {
  name: string;
  hard: Amounts;
  used: Amounts;
  /** It counts only some pods: those of a priority, those that end. */
  scoped: boolean;
}

/** An object of the namespace. */
export interface Present {
  kind: string;
  name: string;
  /** The stack whose it is; undefined for one that gpubox did not make. */
  stack?: string;
}

/** What a cluster is made of, as far as it decides whether a box can stand in it. */
export interface ClusterGround {
  /** Undefined: there is none yet. */
  namespace?: { labels: Record<string, string>; terminating: boolean };
  present: Present[];
  quotas: Quota[];
  /** What a LimitRange names for containers that do not: `limits.cpu`. */
  named: string[];
  /** Requests and limits of the pods of this stack that run now, as a quota counts them. */
  own: Amounts;
  /** Bytes that the claims of this stack have now. */
  ownStorage: number;
  /** Undefined: this person may not list them. */
  storageClasses?: { name: string; isDefault: boolean }[];
  nodes?: {
    name: string;
    labels: Record<string, string>;
    allocatable: Amounts;
    schedulable: boolean;
    /** `containerd://2.1.4`. */
    runtime?: string;
  }[];
  /** Whether the server keeps volumes that are images; undefined where nobody needs one, or it could not be asked. */
  imageVolumes?: boolean;
  /** Keys of the demanded Secrets that are there, never a value. */
  secrets: Record<string, string[]>;
  /** `apiVersion kind` of what the server knows, for kinds of groups that are not Kubernetes' own. */
  kinds: string[];
  /** What the server itself refused when it was asked what it would do. */
  refusals: string[];
  /** What this person may not read, so that nobody looked at it. */
  unread: string[];
}

const meta = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  deletionTimestamp: z.string().optional(),
});
const list = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item) });
const amounts = z.record(z.string(), z.string()).default({});
const object = z.object({ metadata: meta });

const quotaList = list(
  object.extend({
    spec: z.object({ hard: amounts, scopes: z.unknown().optional(), scopeSelector: z.unknown().optional() }),
    status: z.object({ used: amounts }).prefault({}),
  }),
);
const limitRange = z.object({
  type: z.string(),
  default: amounts,
  defaultRequest: amounts,
});
const limitRanges = list(object.extend({ spec: z.object({ limits: z.array(limitRange) }) }));
const podList = list(
  object.extend({ spec: podSpec, status: z.object({ phase: z.string().optional() }).prefault({}) }),
);
const claimList = list(
  object.extend({
    spec: z.object({ resources: z.object({ requests: z.object({ storage: z.string() }) }) }),
  }),
);
const classList = list(object);
const nodeList = list(
  object.extend({
    spec: z.object({ unschedulable: z.boolean().optional() }).prefault({}),
    status: z
      .object({
        allocatable: amounts,
        nodeInfo: z.object({ containerRuntimeVersion: z.string().optional() }).prefault({}),
      })
      .prefault({}),
  }),
);

/** Kinds that a box is made of, for the question what is in a namespace already. */
export const OWN_KINDS =
  "deployments.apps,statefulsets.apps,jobs.batch,cronjobs.batch,services,configmaps,secrets,persistentvolumeclaims,networkpolicies.networking.k8s.io,poddisruptionbudgets.policy";
/** Names and labels alone: a Secret's values stay in kubectl. */
const PRESENT = `{range .items[*]}{.kind}{"\\t"}{.metadata.name}{"\\t"}{.metadata.labels.${STACK_LABEL.replaceAll(".", "\\.")}}{"\\n"}{end}`;
const ONE = '{{.metadata.name}}{{range $key, $value := .data}} {{$key}}{{end}}{{"\\n"}}';
/** Several come as a list, and a single one as itself. */
const KEYS = `{{if .items}}{{range .items}}${ONE}{{end}}{{else if .metadata.name}}${ONE}{{end}}`;
/** An older cluster has the annotation with `beta`, and honours it still. */
const DEFAULT_CLASS = /^storageclass(\.beta)?\.kubernetes\.io\/is-default-class$/;

/**
 * Asks a cluster what it is made of, with the rights of the person's kubeconfig, and changes nothing: it reads, and lets the
 * server rehearse (`--dry-run=server`).
 *
 * @param stack whose box it is
 */
export async function readGround(
  cluster: Cluster,
  demand: Demand,
  stack: string,
): Promise<ClusterGround | Unreached> {
  const reached = await kubectl(cluster, ["version", "--output", "json"]);
  if (reached.code !== 0) return unreached(reached);
  const unread: string[] = [];
  const ask = async <Read>(what: string, schema: z.ZodType<Read>, ...args: string[]) => {
    const answer = await kubectl(cluster, args);
    const read = answer.code === 0 ? schema.safeParse(parseJson(answer.stdout)) : undefined;
    if (!read?.success) unread.push(what);
    return read?.data;
  };
  const json = ["--output", "json"];
  const mine = ["--selector", `${STACK_LABEL}=${stack}`, ...json];
  const [namespace, present, quotas, ranges, pods, claims, classes, nodes, secrets, kinds] =
    await Promise.all([
      kubectl(cluster, ["get", "namespace", cluster.namespace, "--ignore-not-found", ...json]),
      kubectl(cluster, ["get", OWN_KINDS, "--output", `jsonpath=${PRESENT}`]),
      ask("quotas", quotaList, "get", "resourcequotas", ...json),
      ask("limit ranges", limitRanges, "get", "limitranges", ...json),
      ask("pods", podList, "get", "pods", ...mine),
      ask("volume claims", claimList, "get", "persistentvolumeclaims", ...mine),
      ask("storage classes", classList, "get", "storageclasses", ...json),
      ask("nodes", nodeList, "get", "nodes", ...json),
      secretKeys(cluster, demand, unread),
      servedKinds(cluster, demand),
    ]);
  if (present.code !== 0) unread.push("what is in the namespace");
  const found = namespaceOf(namespace, unread);
  const hasNamespace = found !== undefined && !found.terminating;
  const [imaged] = withImages(demand);
  const imageVolumes = imaged && (await keepsImageVolumes(cluster, imaged, hasNamespace));
  // In the box's own namespace its other refusals say why.
  if (imaged && imageVolumes === undefined && !hasNamespace) unread.push("volumes of images");
  return {
    ...(found ? { namespace: found } : {}),
    present: parsePresent(present.stdout),
    quotas: (quotas?.items ?? []).map(({ metadata, spec, status }) => ({
      name: metadata.name,
      hard: numbers(spec.hard),
      used: numbers(status.used),
      scoped: spec.scopes !== undefined || spec.scopeSelector !== undefined,
    })),
    named: namedBy(ranges?.items.flatMap(({ spec }) => spec.limits) ?? []),
    own: (pods?.items ?? [])
      .filter(counts)
      .map(({ spec }) => quotaAmounts(spec))
      .reduce(plus, {}),
    ownStorage: (claims?.items ?? []).reduce(
      (sum, { spec }) => sum + amountOf(spec.resources.requests.storage),
      0,
    ),
    ...(classes
      ? {
          storageClasses: classes.items.map(({ metadata }) => ({
            name: metadata.name,
            isDefault: Object.entries(metadata.annotations).some(
              ([name, value]) => DEFAULT_CLASS.test(name) && value === "true",
            ),
          })),
        }
      : {}),
    ...(nodes
      ? {
          nodes: nodes.items.map(({ metadata, spec, status }) => ({
            name: metadata.name,
            labels: metadata.labels,
            allocatable: numbers(status.allocatable),
            schedulable: spec.unschedulable !== true,
            runtime: status.nodeInfo.containerRuntimeVersion,
          })),
        }
      : {}),
    secrets,
    kinds,
    refusals: hasNamespace ? await rehearse(cluster, demand, kinds) : [],
    imageVolumes,
    unread,
  };
}

function namespaceOf({ code, stdout }: { code: number; stdout: string }, unread: string[]) {
  if (code !== 0) {
    // With rights in one namespace only, a person may not read the namespace itself. What is in it decides, then.
    unread.push("the namespace");
    return { labels: {}, terminating: false };
  }
  const read = object.safeParse(parseJson(stdout));
  if (!read.success) return undefined;
  const { labels, deletionTimestamp } = read.data.metadata;
  return { labels, terminating: deletionTimestamp !== undefined };
}

function parsePresent(text: string): Present[] {
  return text
    .split("\n")
    .map((line) => line.split("\t"))
    .flatMap(([kind, name, stack]) => (kind && name ? [{ kind, name, ...(stack ? { stack } : {}) }] : []));
}

/** A pod that ended no longer counts. */
function counts({ status }: { status: { phase?: string } }): boolean {
  return status.phase !== "Succeeded" && status.phase !== "Failed";
}

/** Amounts of a pod by the names that a quota has for them. */
export function quotaAmounts(pod: PodSpec): Amounts {
  const { requests, limits } = podAmounts(pod);
  return asQuota(requests, limits);
}

/** Requests and limits by the names that a quota has for them. */
export function asQuota(requests: Amounts, limits: Amounts): Amounts {
  const named = (prefix: string, all: Amounts) =>
    Object.fromEntries(Object.entries(all).map(([name, amount]) => [`${prefix}.${name}`, amount]));
  return { ...named("requests", requests), ...named("limits", limits), pods: 1 };
}

function namedBy(ranges: z.infer<typeof limitRange>[]): string[] {
  return ranges
    .filter(({ type }) => type === "Container")
    .flatMap((range) => [
      ...Object.keys(range.default).flatMap((name) => [`limits.${name}`, `requests.${name}`]),
      ...Object.keys(range.defaultRequest).map((name) => `requests.${name}`),
    ]);
}

async function secretKeys(
  cluster: Cluster,
  { secrets }: Demand,
  unread: string[],
): Promise<Record<string, string[]>> {
  if (secrets.length === 0) return {};
  const names = secrets.map(({ name }) => name);
  const how = ["--ignore-not-found", "--output", `go-template=${KEYS}`];
  const { code, stdout } = await kubectl(cluster, ["get", "secrets", ...names, ...how]);
  const rows = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" "));
  const found = Object.fromEntries(rows.map(([name, ...keys]) => [name, keys]));
  if (code !== 0) unread.push(...names.filter((name) => !found[name]).map((name) => `the Secret ${name}`));
  return found;
}

/** Not by `get --raw`: that forgets the path of a server behind a proxy. */
async function servedKinds(cluster: Cluster, { objects }: Demand): Promise<string[]> {
  const groups = [...new Set(objects.filter(isExtension).map(({ apiVersion }) => apiVersion.split("/")[0]!))];
  const served = groups.map(async (group) => {
    const { stdout } = await kubectl(cluster, ["api-resources", "--api-group", group, "--no-headers"]);
    // NAME, SHORTNAMES if it has some, APIVERSION, NAMESPACED, KIND.
    const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/));
    return rows.flatMap((row) => (row.length < 4 ? [] : [`${row.at(-3)} ${row.at(-1)}`]));
  });
  return (await Promise.all(served)).flat();
}
