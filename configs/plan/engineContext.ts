import { placementOf } from "../capacity/placement";
import { engineOf, type ModelConfig } from "../engines";
import type { EngineContext } from "../engines/engine";
import { ranksOf } from "../engines/nodes";
import { ownImageOf } from "../kit/imageRoles";
import { lockedModel } from "../models/lock";
import { HUB_TOKEN } from "../models/weights";
import type { OwnContainer } from "../schema/ownContainer";
import { type Instance, modelPort, modelSlug } from "../stack/instances";
import { assetText, imageOf, type PlanContext } from "./context";

/** What a LeaderWorkerSet calls the first of a group's pods, in the words of all of them. */
const LEADER_ADDRESS = "$(LWS_LEADER_ADDRESS)";

/** What an engine is told of the box and of the place of its server in it. */
export function engineContext(context: PlanContext, name: string, { id, model }: Instance): EngineContext {
  const { host } = context.config;
  const { lock = {} } = context;
  const locked = lockedModel(lock, model.model ?? "");
  const [server] = engineOf(model).images?.(model, host) ?? [];
  const { image } = model as OwnContainer;
  return {
    name,
    host,
    modelsDir: `${context.dataDir}/models`,
    cacheDir: cacheDirectory(context.dataDir, id),
    port: modelPort(id),
    toolsImage: imageOf(context, "edge"),
    downloader: {
      image: imageOf(context, "gateway"),
      fetchScript: assetText(context, "weights/fetch.py"),
      hasToken: HUB_TOKEN in context.secrets,
      endpoint: host.modelHub,
    },
    image: server ? imageOf(context, image ? ownImageOf(image) : server) : "",
    cannedModel: assetText(context, "llamacpp/canned.gguf.gz.b64"),
    ownFiles: context.config.ownFiles,
    offline: context.resolved.offlineModels.includes(name),
    lock,
    locked,
    knobs: locked && placementOf(context.gpus, id)?.knobs,
    ...ranksIn(context, name, model),
  };
}

function ranksIn(context: PlanContext, name: string, model: ModelConfig): Pick<EngineContext, "ranks"> {
  const { config } = context;
  if (!("nodes" in model) || !model.nodes) return {};
  const worker = Object.hasOwn(config.workers, name) ? config.workers[name] : undefined;
  const { options = {} } = engineOf(model).commandLine ?? {};
  const ranks = ranksOf(model, worker?.stack ?? config.stack, worker?.rank ?? 0, [
    ...Object.keys(options),
    "image",
  ]);
  if (!ranks || context.target !== "kubernetes") return { ranks };
  // The cluster tells each pod who leads it.
  const hosts = ranks.hosts.map((host) => ({ ...host, address: LEADER_ADDRESS }));
  return { ranks: { ...ranks, hosts } };
}

/** Directory on the host for what a backend keeps over restarts. */
function cacheDirectory(dataDir: string, instance: string): string {
  return `${dataDir}/backend-${modelSlug(instance)}-cache`;
}
