import { z } from "zod";
import { parseJson } from "../../platform/json";
import { type Cluster, documents, kubectl } from "../../platform/kubernetes/kubectl";
import type { Demand, Workload } from "./demand";
import { podSpec } from "./podSpec";

/** Where an older server's words name the field. */
export const UNKNOWN_IMAGE = /unknown field "[^"]*\bvolumes\[\d+\]\.image"/;

/** Where a pod may be rehearsed while the box's own namespace is not there. */
const ANY_NAMESPACE = "default";

const made = z.object({ spec: podSpec });

/**
 * Whether the API server keeps a volume that is an image. Where the feature is off it drops the volume and its mounts without a word,
 * so what comes back of a rehearsal is compared with what was asked for.
 *
 * @param pod one that has such a volume
 * @returns undefined where the server refuses the pod for another reason
 */
export async function keepsImageVolumes(
  cluster: Cluster,
  { pod }: Workload,
  hasNamespace: boolean,
): Promise<boolean | undefined> {
  const namespace = hasNamespace ? cluster.namespace : ANY_NAMESPACE;
  const dry = ["create", "--dry-run=server", "--validate=strict", "--output", "json", "--filename", "-"];
  const { code, stdout, stderr } = await kubectl({ ...cluster, namespace }, dry, documents([pod]));
  if (code !== 0) return UNKNOWN_IMAGE.test(stderr) ? false : undefined;
  const read = made.safeParse(parseJson(stdout));
  return read.success ? read.data.spec.volumes.some(({ image }) => image !== undefined) : undefined;
}

/** The workloads that have a volume which is an image. */
export function withImages({ workloads }: Demand): Workload[] {
  return workloads.filter(({ pod }) => made.parse(pod).spec.volumes.some(({ image }) => image !== undefined));
}
