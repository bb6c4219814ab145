import { type Cluster, documents, kubectl } from "../../platform/kubernetes/kubectl";
import type { Demand } from "./demand";
import { isExtension } from "./extensions";

/** Who owns the fields that gpubox sets, for the API server. */
export const FIELD_MANAGER = "gpubox";

/**
 * Lets the API server judge the objects, and each pod that they would make, as if they were applied: unknown fields, Pod
 * Security, quotas, limits, rights, and what the cluster's own policies say.
 *
 * @param kinds of extensions that the server knows; objects of others are not shown to it
 * @returns what it would refuse, in its own words
 */
export async function rehearse(cluster: Cluster, demand: Demand, kinds: string[]): Promise<string[]> {
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
  const judge = async (verb: string[], items: object[]) => {
    // kubectl takes nothing for a mistake.
    if (items.length === 0) return [];
    const { code, stderr } = await kubectl(cluster, [...verb, ...dry], documents(items));
    return code === 0 ? [] : refusalsIn(stderr);
  };
  const found = await Promise.all([
    judge(["apply", "--server-side", "--force-conflicts"], known),
    judge(
      ["create"],
      demand.workloads.map(({ pod }) => pod),
    ),
  ]);
  return found.flat();
}

/** What a kubectl that failed says of each object. */
export function refusalsIn(stderr: string): string[] {
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Warning:"));
  const said = lines.map((line) =>
    line.replace(/^(Error from server( \(\w+\))?|error): /, "").replace(/^error when creating "STDIN": /, ""),
  );
  return said.filter((text) => !NOT_YET.test(text));
}

/** What comes with the same objects, and is not there while they are only rehearsed. */
const NOT_YET = /error looking up service account|serviceaccount "[^"]+" not found/;
