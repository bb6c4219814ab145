import { versionAtLeast } from "../../platform/versions";
import { type Demand, fits, type Workload } from "./demand";
import { type GroundFinding, pathOf, some } from "./finding";
import type { ClusterGround } from "./ground";
import { withImages } from "./imageVolumes";

/** The first containerd that mounts images. */
const CONTAINERD = "2.1.0";

/** Why models whose files are in an image would start without them, or not at all. */
export function judgeImageVolumes(
  demand: Demand,
  { imageVolumes, nodes = [] }: ClusterGround,
): GroundFinding[] {
  const all = withImages(demand);
  if (imageVolumes === false)
    return [
      {
        path: keyOf(all[0]!),
        level: "refused",
        what: `The API server drops volumes that are images, and ${some(all.map(({ name }) => name))} would start without the model's files.`,
        fix: "Turn the feature gate ImageVolume on, for the API server and for kubelets (1.33 and 1.34 know it and have it off, 1.35 has it on); or let a claim hold the files: weights.claim.",
      },
    ];
  return all.flatMap((one): GroundFinding[] => {
    const may = nodes.filter(({ labels }) => fits(labels, one.nodeSelector));
    const old = may.filter(({ runtime }) => isOld(runtime));
    if (old.length === 0) return [];
    const which = `${some(old.map(({ name }) => name))} ${old.length > 1 ? "have" : "has"} an older containerd than 2.1, which mounts no image`;
    return [
      {
        path: keyOf(one),
        level: old.length === may.length ? "refused" : "note",
        what:
          old.length === may.length
            ? `No node that ${one.name} may run on mounts its files: ${which}.`
            : `Pods of ${one.name} do not start on every node: ${which}.`,
        fix: "Upgrade the nodes' containerd, name other nodes by kubernetes.nodeSelector, or let a claim hold the files: weights.claim.",
      },
    ];
  });
}

function keyOf({ model }: Workload): string {
  return `${pathOf(model)}.kubernetes.weights.image`;
}

/** As a node says it: `containerd://1.7.28`. Of other runtimes nothing is judged. */
function isOld(runtime: string | undefined): boolean {
  const version = runtime?.match(/^containerd:\/\/v?(\d+\.\d+\.\d+)/)?.[1];
  return version !== undefined && !versionAtLeast(version, CONTAINERD);
}
