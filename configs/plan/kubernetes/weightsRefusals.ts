import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { Failure } from "../../kit/problems";
import type { BackendPlan, BoxPlan } from "../../kit/types";
import { hostMounts, storesFiles } from "./weights";

/** What is wrong with where a model's files are to be on a cluster: the key within `kubernetes.weights`, and the way out. */
export function weightsRefusals(
  plan: BoxPlan,
  backend: BackendPlan,
  server: ClusterServerPlan,
): ({ key: keyof ClusterServerPlan["settings"]["weights"] } & Failure)[] {
  const { weights, replicas = 1, scale } = server.settings;
  const { claim, image, volume, directory, storageClass, sizeGiB } = weights;
  const isStored = storesFiles(plan, backend);
  const size = storageClass !== undefined ? "storageClass" : sizeGiB !== undefined ? "sizeGiB" : undefined;
  const isSeveral = replicas > 1 || scale !== undefined || server.nodes !== undefined;
  const found: ReturnType<typeof weightsRefusals> = [];
  if (isSeveral && isStored && (volume ?? "own") === "own")
    found.push({
      key: "volume",
      what: "Its own volume is for one node at a time, and its pods may be on several.",
      fix: "Write volume: shared, where a storage class has ReadWriteMany, or volume: pod, or volume: node.",
    });
  if (volume === "node" && size)
    found.push({
      key: size,
      what: "A directory of a node has no storage class, and is as large as its disk.",
      fix: "Take it out, or write volume: own.",
    });
  if (directory !== undefined && volume !== "node")
    found.push({
      key: "directory",
      what: "Only nodes that keep the files have a directory of them.",
      fix: "Write volume: node, or take it out.",
    });
  if (image === undefined) return found;
  if (claim !== undefined)
    found.push({
      key: "image",
      what: "A claim holds the same files.",
      fix: "Take one of them out.",
    });
  const isElsewhere = hostMounts(plan, backend, server).length === 0;
  if (isElsewhere)
    found.push({
      key: "image",
      what: "An image holds the files of a file:/// source, and all of this model come from elsewhere.",
      fix: "Write model: file:///models/NAME, the directory at which the image is mounted; or take it out.",
    });
  const needless = volume !== undefined ? "volume" : size;
  if (!isElsewhere && !isStored && needless)
    found.push({
      key: needless,
      what: "The image holds all of the model's files, so that it has no volume.",
      fix: "Take it out, or take the image out.",
    });
  return found;
}
