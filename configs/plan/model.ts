import { onlyInChats } from "../bodies/presets";
import { engineOf, type ModelConfig } from "../engines";
import type { EngineContext, Route } from "../engines/engine";
import { routesOf } from "../engines/routes";
import { IDLE_SECONDS } from "../schema/model";
import { groupOf, type Instance, instancesOf, slotOf, throughGateway } from "../stack/instances";
import type { BackendSpec, PlanContext, SlotMembership } from "./context";
import { engineContext } from "./engineContext";
import { withOwnSettings } from "./ownContainer";
import type { Deployment, RoutedModel } from "./routing";
import { valveUrl } from "./valve";

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

/** A model as a gateway knows it, and its LoRA adapters as models of their own. */
export function routedModels(name: string, entry: ModelConfig, deployments: Deployment[]): RoutedModel[] {
  const adapters = engineOf(entry).adapters?.(entry) ?? [];
  return [
    { name, model: entry, deployments },
    ...adapters.map((adapter) => adapterOf(adapter, name, entry, deployments)),
  ];
}

/** How a gateway calls one server of a model. `upstream`: its URL up to and without `/v1`. */
export function routeOf(context: PlanContext, name: string, instance: Instance, upstream: string): Route {
  return routeTo(instance.model, engineContext(context, name, instance), upstream);
}

/** The engine's route, and what the entry says of it in LiteLLM's own words. */
function routeTo(model: ModelConfig, about: EngineContext, upstream: string): Route {
  const route = engineOf(model).route(model, about, upstream);
  return {
    ...route,
    ...(onlyInChats(model.params).length > 0 ? { supportedEndpoints: undefined } : {}),
    ...(model.params ? { preset: model.params } : {}),
    ...(model.info ? { info: { ...route.info, ...model.info } } : {}),
  };
}

/** The same servers, asked for the adapter by its name. */
function adapterOf(
  adapter: string,
  name: string,
  entry: ModelConfig,
  deployments: Deployment[],
): RoutedModel {
  const served = (route: Route) => `${route.model.slice(0, route.model.indexOf("/"))}/${adapter}`;
  return {
    name: adapter,
    model: { ...entry, aliases: [] },
    deployments: deployments.map((one) => ({
      ...one,
      id: one.id === name ? adapter : `${adapter}${one.id.slice(name.length)}`,
      route: { ...one.route, model: served(one.route) },
    })),
  };
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
