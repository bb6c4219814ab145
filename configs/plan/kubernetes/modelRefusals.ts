import { engineOf, type ModelConfig } from "../../engines";
import { hostFolderOf } from "../../engines/source";
import type { ClusterServerPlan } from "../../kit/clusterPlan";
import type { Problem } from "../../kit/problems";
import type { BoxPlan } from "../../kit/types";
import { PLAIN_MODEL } from "../../schema/kubernetes";
import type { StackConfig } from "../../stack/config";
import { instancesOf } from "../../stack/instances";
import { clusterOf } from "./names";
import { hostMounts } from "./weights";
import { weightsRefusals } from "./weightsRefusals";

/** What of a model's entry only one host can do. */
export function modelRefusals(config: StackConfig, plan: BoxPlan): Problem[] {
  const served = Object.entries(config.models).filter(([, model]) => engineOf(model).container);
  return [
    ...served.flatMap(([name, model]) => entryRefusals(`gpubox:models.${name}`, model, config)),
    ...eachOnce(clusterOf(plan).servers.flatMap((server) => serverRefusals(config, plan, server))),
    ...sharedDevices(config, plan),
  ];
}

function entryRefusals(path: string, model: ModelConfig, { kubernetes }: StackConfig): Problem[] {
  const problems: Problem[] = [];
  const say = (key: string, what: string, fix: string) =>
    problems.push({ path: `${path}.${key}`, what, fix });
  const settings = ("kubernetes" in model && model.kubernetes) || PLAIN_MODEL;
  if (model.start === "ondemand")
    say(
      "start",
      "Models that take turns on one device need a scheduler of that host.",
      "Write start: auto, with GPUs of its own; or leave the model on a box, and route to it by engine: openai.",
    );
  if ("ulimits" in model && model.ulimits)
    say(
      "ulimits",
      "A pod has no field for limits of its processes.",
      "Take it out, and set them for the nodes' container runtime (LimitMEMLOCK of containerd.service).",
    );
  if ("devices" in model && model.devices && Object.keys(settings.resources).length === 0)
    say(
      "devices",
      "A pod gets device files from a device plugin alone.",
      "Name the plugin's resource: kubernetes: { resources: { rdma/hca: 1 } }.",
    );
  if ("mounts" in model && model.mounts)
    say(
      "mounts",
      "A pod has no directories of its node: Pod Security refuses them.",
      "Put the files beside the stack file and name them there, or into the model's volume (kubernetes.weights.claim).",
    );
  for (const { path: at, model: one } of instancesOf("", model))
    if ("expose" in one && one.expose)
      say(
        `${at.slice(1)}${at ? "." : ""}expose`,
        "A port of the host is not published on a cluster.",
        "Take it out: clients in the cluster reach the model through the edge.",
      );
  const { replicas = 1, scale } = settings;
  const isOverNodes = "nodes" in model && model.nodes !== undefined;
  if (scale && isOverNodes)
    say("kubernetes.scale", "A model over several nodes has a number of groups.", "Write replicas.");
  if (scale && replicas > 1)
    say("kubernetes.replicas", "`scale` counts the pods.", "Take it out, or take `scale` out.");
  if (scale && !kubernetes.prometheus)
    say(
      "kubernetes.scale",
      "Nothing says how many requests wait.",
      "Name the Prometheus that scrapes the pods: gpubox:kubernetes.prometheus.",
    );
  return problems;
}

/** Servers of one entry have its mistakes in common. */
function eachOnce(problems: Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

function serverRefusals(config: StackConfig, plan: BoxPlan, server: ClusterServerPlan): Problem[] {
  const backend = plan.backends.find(({ instance }) => instance === server.instance);
  if (!backend) return [];
  const entry = config.models[backend.model];
  const path = `gpubox:models.${backend.model}`;
  const problems: Problem[] = weightsRefusals(plan, backend, server).map(({ key, ...failure }) => ({
    path: `${path}.kubernetes.weights.${key}`,
    ...failure,
  }));
  const missing = hostMounts(plan, backend, server);
  const { claim, image } = server.settings.weights;
  if (missing.length > 0 && !claim && !image)
    problems.push({
      path: `${path}.${hostKey(entry) ?? "model"}`,
      what: `The files in ${missing.join(", ")} are on one host, and a pod has none of them.`,
      fix: "Name the model at a hub, hf://owner/repo; or a volume claim or an image that holds the directory: kubernetes: { weights: { claim: NAME } }.",
    });
  if (server.settings.scale && !server.waitingMetric)
    problems.push({
      path: `${path}.kubernetes.scale`,
      what: `The engine ${entry?.engine} does not say how many requests wait.`,
      fix: "Write replicas.",
    });
  return problems;
}

/** The key of an entry that names files of the host. */
function hostKey(entry: ModelConfig | undefined): string | undefined {
  return Object.entries(entry ?? {}).find(
    ([, value]) => typeof value === "string" && hostFolderOf(value) !== undefined,
  )?.[0];
}

/** A device plugin gives a device to one container. */
function sharedDevices(config: StackConfig, plan: BoxPlan): Problem[] {
  const users = plan.backends.filter(({ start, service }) => start !== "ondemand" && service.container.gpu);
  return users.flatMap((backend, index) => {
    const entry = config.models[backend.model];
    if (entry && "kubernetes" in entry && entry.kubernetes?.gpuResource) return [];
    const ids = backend.service.container.gpu!.ids;
    const before = users
      .slice(0, index)
      .find(({ service }) => service.container.gpu!.ids.some((id) => ids.includes(id)));
    if (!before) return [];
    const shared = before.service.container.gpu!.ids.filter((id) => ids.includes(id));
    return [
      {
        path: `gpubox:models.${backend.model}.gpu.devices`,
        what: `It would share device ${shared.join(", ")} with ${before.instance}, and on a cluster a pod has whole devices.`,
        fix: "Declare every GPU of the cluster in gpubox:host.gpus and give each model its own; or name a slice: kubernetes: { gpuResource: nvidia.com/mig-3g.40gb }.",
      },
    ];
  });
}
