import { type Cluster, kubectl } from "../../platform/kubernetes/kubectl";
import type { ClusterObject, Demand } from "./demand";
import { isExtension } from "./extensions";

/** What an API server would refuse. */
export interface Refusal {
  /** `Deployment.apps "gateway"`, as the server says it; undefined where it names none. */
  of?: string;
  /** The server's own words. */
  said: string;
}

/** Who owns the fields that gpubox sets, for the API server. */
export const FIELD_MANAGER = "gpubox";

/**
 * Lets the API server judge the objects, and each pod that they would make, as if they were applied: unknown fields, Pod
 * Security, quotas, limits, rights, and what the cluster's own policies say.
 *
 * @param kinds of extensions that the server knows; objects of others are not shown to it
 */
export async function rehearse(cluster: Cluster, demand: Demand, kinds: string[]): Promise<Refusal[]> {
  const known = demand.objects.filter(
    (one) =>
      one.kind !== "Namespace" && (!isExtension(one) || kinds.includes(`${one.apiVersion} ${one.kind}`)),
  );
  const dry = [
    "--dry-run=server",
    "--validate=strict",
    `--field-manager=${FIELD_MANAGER}`,
    "--filename",
    "-",
  ];
  const [objects, pods] = await Promise.all([
    kubectl(cluster, ["apply", "--server-side", "--force-conflicts", ...dry], listOf(known)),
    kubectl(cluster, ["create", ...dry], listOf(demand.workloads.map(({ pod }) => pod))),
  ]);
  return [objects, pods].flatMap(({ code, stderr }) => (code === 0 ? [] : refusalsIn(stderr)));
}

function listOf(items: (ClusterObject | Record<string, unknown>)[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}

/** What a kubectl that failed says of each object. */
export function refusalsIn(stderr: string): Refusal[] {
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Warning:"));
  const said = lines.map((line) =>
    line.replace(/^(Error from server( \(\w+\))?|error): /, "").replace(/^error when creating "STDIN": /, ""),
  );
  return said
    .filter((text) => !NOT_YET.test(text))
    .map((text) => {
      const [, of] = /^(\S+ "[^"]+")/.exec(text) ?? [];
      return { ...(of ? { of } : {}), said: text };
    });
}

/** What comes with the same objects, and is not there while they are only rehearsed. */
const NOT_YET = /error looking up service account|serviceaccount "[^"]+" not found/;
