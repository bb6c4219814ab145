import { placementOf } from "../capacity/placement";
import { engineOf, type ModelConfig } from "../engines";
import { routesOf } from "../engines/routes";
import type { ServicePlan } from "../kit/containerPlan";
import { directory } from "../kit/text";
import type { BackendPlan, DeviceNeed, ReplacementChoice } from "../kit/types";
import { canarySeconds } from "../schema/canary";
import { IDLE_SECONDS } from "../schema/model";
import { backendName, groupOf, instancesOf, modelSlug, slotOf, throughGateway } from "../stack/instances";
import { planBeside, standInOf } from "./beside";
import {
  assetFiles,
  type BackendSpec,
  container,
  health,
  imageOf,
  type PlanContext,
  type SlotMembership,
} from "./context";
import { memoryFloorMiB, startPeriodOf, takingTurns } from "./deviceLock";
import { engineContext } from "./engineContext";
import { networksOfRank } from "./foreignNetworks";
import { schedulerTarget } from "./groups";
import { distinctMounts, withOwnSettings } from "./ownContainer";
import { inRanks, workerProbe } from "./ranks";
import { routedModels, routeTo } from "./routedModel";
import type { Deployment, RoutedModel } from "./routing";
import { seatDirectories, seated } from "./seat";
import { holdSeconds, planValve, valveName, valveUrl } from "./valve";

/** Seconds from the start of a seat's container until it takes commands. It loads nothing by itself. */
const SEAT_SECONDS = 60;

/** Unprivileged; model files are readable by all. */
export const NOBODY = "65534:65534";

export interface PlannedModel {
  /** The model as the gateway knows it, and its LoRA adapters as models of their own. */
  routed: RoutedModel[];
  /** Empty for models that others run. */
  backends: BackendSpec[];
}

/** What one entry asks of the box: a container and a deployment for each of its instances. */
export function planModel(context: PlanContext, name: string, entry: ModelConfig): PlannedModel {
  const instances = instancesOf(name, entry);
  const siblings = instances.length > 1;
  const planned = instances.map((instance) => {
    const { model, id, weight, order } = instance;
    const about = engineContext(context, name, instance);
    const bare = engineOf(model).container?.(model, about);
    const container = bare && withOwnSettings(bare, model);
    const route = routeTo(model, about, valveUrl(id));
    const backend: BackendSpec | undefined = container && {
      model: name,
      instance: id,
      engine: container,
      start: model.start,
      slot: slotShare(name, model),
      group: groupOf(name, model),
      ranks: about.ranks,
      siblings,
      routes: routesOf(model),
      served: route.model.slice(route.model.indexOf("/") + 1),
      mode: route.mode ?? "chat",
      replacement: "replacement" in model ? model.replacement : undefined,
      canary: "canary" in model ? model.canary : undefined,
      holdSeconds: "holdSeconds" in model ? model.holdSeconds : undefined,
      maxParallel: model.maxParallel,
      pidsLimit: "pidsLimit" in model ? model.pidsLimit : undefined,
      expose: "expose" in model ? model.expose : undefined,
    };
    // The valve has waited already: another try at the same backend would wait as long again, one at a sibling may pass.
    const retries = container ? { retries: instances.length - 1 } : {};
    const { rpm, tpm, maxParallel, budget, tags } = model;
    const deployment: Deployment = {
      ...{ id, route: { ...route, ...retries }, weight, order },
      limits: { rpm, tpm, maxParallel, budget, tags },
      unguarded: container === undefined,
    };
    return { backend, deployment };
  });
  const deployments = planned.map(({ deployment }) => deployment);
  return {
    routed: throughGateway(entry) ? routedModels(name, entry, deployments) : [],
    backends: planned.flatMap(({ backend }) => backend ?? []),
  };
}

function slotShare(name: string, model: ModelConfig): SlotMembership | undefined {
  const slot = slotOf(name, model);
  const idleSeconds = "idleSeconds" in model ? model.idleSeconds : undefined;
  return slot === undefined ? undefined : { name: slot, idleSeconds: idleSeconds ?? IDLE_SECONDS };
}

/** The same server as another of its nodes runs it; undefined for one of a single node. */
export function nextRank(context: PlanContext, backend: BackendSpec): BackendSpec | undefined {
  const { model: name, instance: id } = backend;
  const instance = instancesOf(name, context.config.models[name]!).find((one) => one.id === id);
  const about = instance && engineContext(context, name, instance);
  if (!instance || !about?.ranks) return undefined;
  const ranks = { ...about.ranks, rank: 1 };
  const bare = engineOf(instance.model).container?.(instance.model, { ...about, ranks });
  return bare && { ...backend, engine: withOwnSettings(bare, instance.model), ranks };
}

/**
 * A model server on this host and the valve in front of it.
 *
 * @param deadlineSeconds time until it must be healthy when all backends start at once, its wait for the device included
 * @param choice how it is replaced
 */
export function planBackend(
  context: PlanContext,
  backend: BackendSpec,
  deadlineSeconds: number,
  { kind, why }: ReplacementChoice,
): BackendPlan {
  const isBeside = kind === "start-first";
  const service = planServer(context, backend, deadlineSeconds);
  const standIn = isBeside ? standInOf(service.container.name) : undefined;
  return {
    model: backend.model,
    instance: backend.instance,
    start: backend.start,
    ...(backend.group === undefined ? {} : { group: backend.group }),
    service: {
      ...service,
      ...(standIn && {
        standIn: {
          name: standIn,
          drainSeconds: context.config.gateway.drainTimeout,
          ...(backend.canary && { canarySeconds: canarySeconds(backend.canary) }),
        },
      }),
    },
    replacement: isBeside ? { kind, why, beside: planBeside(context, backend, service) } : { kind, why },
    valve: planValve(
      context,
      backend,
      backend.group === undefined
        ? {
            standIn,
            canary: backend.canary !== undefined,
            name: backendName(backend.instance),
            port: backend.engine.port,
            healthPath: backend.engine.healthPath,
            healthText: backend.engine.healthText,
          }
        : schedulerTarget(backend.group, backend.instance),
    ),
    holdSeconds: holdSeconds(backend),
    needs: needsOf(context, backend.instance),
    weights: backend.engine.weights ?? [],
  };
}

/** Its planned share of each of its devices. */
export function needsOf({ gpus }: PlanContext, instance: string): DeviceNeed[] | undefined {
  const placement = placementOf(gpus, instance);
  return placement?.devices.map((device) => ({
    device: String(device),
    mib: Math.ceil(placement.shareBytes / 1024 ** 2),
  }));
}

/**
 * The container of a model server, or of a rank of one.
 *
 * @param name its logical one. Default: that of a backend
 */
export function planServer(
  context: PlanContext,
  backend: BackendSpec,
  deadlineSeconds: number,
  name = backendName(backend.instance),
): ServicePlan {
  const user = backend.engine.user ?? NOBODY;
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  const { group, ranks } = backend;
  const seat =
    group === undefined
      ? undefined
      : seatDirectories(context.dataDir, group, modelSlug(backend.instance), { uid, gid });
  // A rank ends with the others, so nobody starts one again by itself.
  const alone = ranks ? { ...backend.engine, watch: undefined } : backend.engine;
  const probed = ranks && ranks.rank > 0 ? { ...alone, healthTest: workerProbe() } : alone;
  const floorMiB = memoryFloorMiB(context.config.host.gpus, probed);
  const turned = takingTurns(context.dataDir, probed, { floorMiB });
  const rankImage = imageOf(context, backend.engine.ownImage ?? backend.engine.image);
  // Twice its own time: another one may load on its device first.
  const engine = seat
    ? seated(
        turned,
        backend.engine.healthTest,
        { seat: seat.seat.path, orders: seat.orders.path },
        2 * backend.engine.readySeconds,
      )
    : ranks && context.target !== "kubernetes"
      ? inRanks(turned, ranks, rankImage)
      : turned;
  const {
    image,
    ownImage,
    user: ______,
    port,
    mounts,
    ownMounts = [],
    readySeconds: _____,
    ...rest
  } = engine;
  const {
    healthPath: _,
    healthText: __,
    metricsPath: ____,
    healthTest,
    files = {},
    assets = {},
    weights: ___,
    sleep: _______,
    watch: ________,
    ...choices
  } = rest;
  const own = directory(
    `${context.dataDir}/${name}`,
    gid,
    { ...files, ...assetFiles(context, assets) },
    context.secrets,
  );
  const config = { kind: "directory" as const, source: own.path, target: "/etc/gpubox", readOnly: true };
  return {
    directory: own,
    valves: [valveName(backend.instance)],
    writable: [
      ...mounts
        .filter(({ readOnly, source }) => !readOnly && source !== seat?.seat.path)
        .map(({ source }) => ({ path: source, uid, gid })),
      ...(seat ? [seat.seat, seat.orders] : []),
    ],
    container: container(
      context,
      {
        ...choices,
        name,
        role: image,
        ...(ownImage && { ownImage }),
        env: { HOME: "/tmp", ...engine.env },
        user,
        ...(ranks ? networksOfRank(ranks, name) : { networks: { backends: [name] } }),
        mounts: distinctMounts([
          ...(Object.keys(own.files).length > 0 ? [config] : []),
          ...mounts,
          ...ownMounts,
        ]),
        // As PID 1, engines ignore a stop until they have loaded, and leave the processes of their workers behind.
        init: true,
        // A seat is there at once, whatever it loads later.
        health: seat
          ? health(...healthTest)
          : { ...health(...healthTest), startPeriodSeconds: startPeriodOf(backend.engine) },
        readySeconds: seat ? SEAT_SECONDS : deadlineSeconds,
        // The neighbours on its device are in the deadline, and are no reason to replace it.
        hashedReadySeconds: seat ? SEAT_SECONDS : backend.engine.readySeconds,
        started: backend.start !== "manual",
        pidsLimit: backend.pidsLimit,
      },
      own.hash,
    ),
  };
}
