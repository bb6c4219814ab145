import { onlyInChats } from "../bodies/presets";
import { engineOf, type ModelConfig } from "../engines";
import type { EngineContext, Route } from "../engines/engine";
import type { Instance } from "../stack/instances";
import type { PlanContext } from "./context";
import { engineContext } from "./engineContext";
import type { Deployment, RoutedModel } from "./routing";

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
export function routeTo(model: ModelConfig, about: EngineContext, upstream: string): Route {
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
