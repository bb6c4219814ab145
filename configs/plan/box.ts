import { adminPort } from "../checks";
import { engineOf } from "../engines";
import type { EngineContext } from "../engines/engine";
import type { StackConfig } from "../schema/stack";
import { planBackend, valveUrl } from "./backend";
import { planCache } from "./cache";
import { imageOf, type PlanContext, type PlanInput } from "./context";
import { planDatabase } from "./database";
import { planEdge } from "./edge";
import { planGateway, usesDatabase } from "./gateway";
import type { RoutedModel } from "./litellm";
import { modelPort } from "./names";
import type { BoxPlan, NetworkPlan, NetworkRole } from "./types";

/** Turns a checked stack config into everything that a box is made of. Pure: the same input gives the same plan. */
export function planBox(input: PlanInput): BoxPlan {
  const { config } = input;
  const context: PlanContext = {
    ...input,
    prefix: `gpubox-${config.stack}`,
    dataDir: config.host.dataDir,
  };
  const entries = Object.entries(config.models).map(([name, model]) => {
    const engine = engineOf(model);
    const about: EngineContext = {
      name,
      modelsDir: `${context.dataDir}/models`,
      port: modelPort(name),
      toolsImage: imageOf(context, "llamacpp"),
      offline: input.resolved.offlineModels.includes(name),
    };
    return {
      name,
      model,
      route: engine.route(model, about, valveUrl(name)),
      container: engine.container?.(model, about),
    };
  });
  const routed: RoutedModel[] = entries;
  return {
    stack: config.stack,
    prefix: context.prefix,
    docker: config.host.docker,
    dataDir: context.dataDir,
    networks: networks(context.prefix),
    cache: planCache(context),
    database: planDatabase(context),
    backends: entries.flatMap(({ name, model, container }) =>
      container ? [planBackend(context, name, container, model.start === "manual")] : [],
    ),
    gateway: planGateway(context, routed),
    edge: planEdge(context),
    endpoint: endpointOf(config),
    adminEndpoint: `http://127.0.0.1:${adminPort(config)}`,
    models: entries.flatMap(({ name, model }) => [name, ...model.aliases]),
    notes: notes(context),
  };
}

/** Every container of a plan, in an order in which each comes after what it needs. */
export function servicesOf(plan: BoxPlan) {
  return [
    ...(plan.cache ? [plan.cache] : []),
    ...(plan.database ? [plan.database] : []),
    ...plan.backends.flatMap((backend) => [backend.valve, backend.service]),
    plan.edge,
    plan.gateway,
  ];
}

function networks(prefix: string): NetworkPlan[] {
  const network = (role: NetworkRole, internal: boolean) => ({ role, name: `${prefix}-${role}`, internal });
  return [
    // Gateways reach cloud providers through it, and only networks with a way out can publish the edge's ports.
    network("edge", false),
    network("data", true),
    network("models", true),
    network("backends", true),
  ];
}

/** Base URL for clients on this host, without `/v1`. */
export function endpointOf({ gateway }: StackConfig): string {
  return `http://${urlHost(gateway.bind)}:${gateway.port}`;
}

function urlHost(bind: string): string {
  if (bind === "0.0.0.0" || bind === "::") return "127.0.0.1";
  return bind.includes(":") ? `[${bind}]` : bind;
}

function notes(context: PlanContext): string[] {
  const { config, resolved } = context;
  const notes: string[] = [];
  if (config.database.mode !== "none" && !usesDatabase(context))
    notes.push(
      "The gateway runs stateless: its image was built from PyPI, which has no Prisma engines, so it cannot use the database. " +
        "There are no virtual keys and no spend until the official image can be pulled.",
    );
  for (const name of resolved.offlineModels)
    notes.push(`No model hub answered: ${name} is served by its offlineModel, which has one fixed answer.`);
  return notes;
}
