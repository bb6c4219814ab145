import { engineOf, engines, type ModelConfig } from "../engines";
import type { ModelLock } from "../models/facts";
import { lockedModel } from "../models/lock";
import { boxesSchema } from "../schema/boxes";
import { type GatewayConfig, gatewaySchema } from "../schema/gateway";
import type { Mode } from "../schema/model";
import { databaseSchema } from "../schema/stores";
import type { SecretFacts } from "../secrets/facts";
import { instancesOf, throughGateway } from "../stack/instances";
import { leftOut } from "../stack/optionalModels";
import { modelsOfBox } from "../stack/profiles";
import { isForMany } from "../stack/wildcards";
import type { BoxFile, Surroundings } from "./files";
import type { BoxProblem } from "./reach";

/** A model of a box as clients see it. */
export interface ServedModel {
  name: string;
  aliases: string[];
  mode: Mode;
  /** `manual`: it may not be running or may have to be loaded first, so automatic requests must not go to it. */
  start: "auto" | "manual";
  /** Seconds after which that box gives up. */
  timeoutSeconds: number;
  price?: ModelConfig["price"];
  baseModel?: string;
  /** Tokens of one request, where they are known. */
  contextLength?: number;
}

export interface ServedBox {
  stack: string;
  gateway: GatewayConfig;
  models: ServedModel[];
}

/** `expandBoxes`, handed in: a box may serve the models of further boxes. */
type Expand = (
  box: Surroundings & { stack: string; values: Record<string, unknown> },
  trail: string[],
) => { values: Record<string, unknown>; problems: unknown[]; loop?: BoxProblem };

/**
 * What a box serves, by its file alone.
 *
 * @param trail stacks whose models are being asked for, the first one's first: a box that is among them would serve itself
 * @param expand puts the models of the boxes that it serves into its config
 */
export function servedBy(
  stack: string,
  { boxFiles, lock }: Surroundings,
  trail: string[],
  expand: Expand,
): ServedBox | BoxProblem {
  if (trail.includes(stack)) return loop(stack, trail);
  const file = boxFiles[stack];
  if (!file) return { key: ".stack", what: `Pulumi.${stack}.yaml was not read.`, fix: "Name another stack." };
  if ("unreadable" in file) return { key: ".stack", ...file.unreadable };
  const gateway = gatewaySchema.safeParse(file.values.gateway ?? {});
  const database = databaseSchema.safeParse(file.values.database ?? {});
  const boxes = boxesSchema.safeParse(file.values.boxes ?? {});
  const expanded = expand({ stack, values: file.values, boxFiles, lock }, [...trail, stack]);
  const declared = modelsIn(expanded.values.models);
  const parsed = gateway.success && database.success && boxes.success;
  if (!parsed || !declared || expanded.problems.length > 0) return expanded.loop ?? mistakes(stack);
  const models = withoutUnset(modelsOfBox({ database: database.data, models: declared }), file);
  return {
    stack,
    gateway: gateway.data,
    models: Object.entries(models).flatMap(([name, model]) =>
      throughGateway(model) ? asServed(name, model, gateway.data.routing.timeoutSeconds, lock) : [],
    ),
  };
}

function loop(stack: string, trail: string[]): BoxProblem {
  if (trail.length === 1)
    return {
      key: ".stack",
      what: "It is this stack itself.",
      fix: `Name another one; its own models stand under gpubox:models.`,
    };
  const chain = [...trail.slice(trail.indexOf(stack)), stack].join(" → ");
  return {
    key: ".stack",
    what: `The boxes serve each other's models in a circle: ${chain}.`,
    fix: `Take ${stack} out of gpubox:boxes in Pulumi.${trail.at(-1)}.yaml.`,
    loop: true,
  };
}

function mistakes(stack: string): BoxProblem {
  return {
    key: "",
    what: `Pulumi.${stack}.yaml has mistakes, so the models of that box are unknown.`,
    fix: `\`gpubox preview --stack ${stack}\` lists them.`,
  };
}

/** The model entries of another box's file, which its own stack checks; undefined when one is invalid. */
function modelsIn(values: unknown): Record<string, ModelConfig> | undefined {
  if (values === undefined) return {};
  if (typeof values !== "object" || values === null || Array.isArray(values)) return undefined;
  const models: Record<string, ModelConfig> = {};
  for (const [name, entry] of Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const engine = (entry as { engine?: unknown } | null)?.engine;
    if (typeof engine !== "string" || !Object.hasOwn(engines, engine)) return undefined;
    const parsed = engines[engine as keyof typeof engines].schema.safeParse(entry);
    if (!parsed.success) return undefined;
    models[name] = parsed.data;
  }
  return models;
}

/** Without the optional models whose secrets that box has not set. */
function withoutUnset(
  models: Record<string, ModelConfig>,
  { secrets }: Extract<BoxFile, { values: unknown }>,
): Record<string, ModelConfig> {
  const facts: SecretFacts = Object.fromEntries(
    secrets.map((name) => [name, { fingerprint: "", encrypted: true }]),
  );
  const out = leftOut({ models }, facts);
  return Object.fromEntries(Object.entries(models).filter(([name]) => !Object.hasOwn(out, name)));
}

/** A model, and its LoRA adapters as models of their own. */
function asServed(
  name: string,
  model: ModelConfig,
  timeoutSeconds: number,
  lock: ModelLock | undefined,
): ServedModel[] {
  // A provider's model has its price in LiteLLM's list, which knows nothing of another gateway's names.
  const named = model.engine === "cloud" && !isForMany(name) ? model.model : undefined;
  const baseModel = model.baseModel ?? named;
  const contextLength = contextOf(name, model, lock);
  const served: ServedModel = {
    ...{ name, aliases: model.aliases, mode: model.mode },
    start: model.start === "auto" ? "auto" : "manual",
    timeoutSeconds: model.timeoutSeconds ?? timeoutSeconds,
    ...(model.price ? { price: model.price } : {}),
    ...(baseModel ? { baseModel } : {}),
    ...(contextLength ? { contextLength } : {}),
  };
  const adapters = engineOf(model).adapters?.(model) ?? [];
  return [served, ...adapters.map((adapter) => ({ ...served, name: adapter, aliases: [] }))];
}

/** The smallest context among its servers, because a request may reach any of them. */
function contextOf(name: string, model: ModelConfig, lock: ModelLock | undefined): number | undefined {
  const contexts = instancesOf(name, model).map((instance) => {
    const locked = lock && lockedModel(lock, instance.model.model ?? "");
    return engineOf(instance.model).route(instance.model, { name, locked }, "").info?.max_input_tokens;
  });
  const known = contexts.filter((tokens) => typeof tokens === "number");
  return known.length === contexts.length ? Math.min(...known) : undefined;
}
