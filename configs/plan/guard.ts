import {
  BODY_ROUTES,
  type BodyRoute,
  KEPT_HEADERS,
  KEPT_METADATA,
  STEERING_METADATA,
  STEERING_PREFIXES,
} from "../bodies/judged";
import { keptIn, steeringNames } from "../bodies/kept";
import litellm from "../bodies/litellm.json";
import type { FilePlan } from "../kit/text";
import { configFile, stableJson } from "../kit/text";
import type { StackConfig } from "../stack/config";
import { openedIn } from "../stack/wildcards";
import { assetFiles, type PlanContext } from "./context";

/** The guard's files, side by side in the directory of LiteLLM's config, which is where LiteLLM looks for them. */
export const GUARD_ASSETS: Record<string, string> = Object.fromEntries(
  ["gpubox_guard", "guard_answers", "guard_body", "guard_cache", "guard_front", "guard_install"]
    .concat(["guard_redirects", "guard_streams", "sitecustomize"])
    .map((module) => [`${module}.py`, `guard/${module}.py`]),
);

/** The guard, as LiteLLM's `callbacks` name it. */
export const GUARD_CALLBACK = "gpubox_guard.instance";

/** The content of guard.json. */
export interface GuardRules {
  /** Route to the parameters that its body may contain. */
  routes: Record<string, { api: string; keep: string[] }>;
  /** Parameters that would steer LiteLLM itself; the guard refuses them. */
  steering: string[];
  prefixes: string[];
  /** Keys of `metadata` that would steer LiteLLM. */
  metadata: string[];
  headers: string[];
  /** What happens to unknown parameters: they are dropped, or the request is refused. */
  unknown: "drop" | "refuse";
  /** Null: no answer is cached. */
  cache: { scope: string; ttlSeconds: number } | null;
  /** True where clients name models that are not declared. Absent elsewhere. */
  many?: true;
}

/** The rules of a stack's gateways. */
export function guardRules({
  gateway,
  cache,
  models,
}: Pick<StackConfig, "gateway" | "cache" | "models">): GuardRules {
  const routes = Object.fromEntries(
    (Object.keys(BODY_ROUTES) as BodyRoute[]).map((route) => [
      route,
      { api: BODY_ROUTES[route], keep: [...new Set([...keptIn(route), ...gateway.allowParameters])].sort() },
    ]),
  );
  const metadata = [...litellm.metadata, ...litellm.own, ...STEERING_METADATA].filter(
    (name) => !Object.hasOwn(KEPT_METADATA, name),
  );
  return {
    routes,
    steering: steeringNames(),
    prefixes: STEERING_PREFIXES,
    metadata: [...new Set(metadata)].sort(),
    headers: KEPT_HEADERS,
    unknown: gateway.dropParams ? "drop" : "refuse",
    cache: cache.ttlSeconds ? { scope: cache.scope, ttlSeconds: cache.ttlSeconds } : null,
    ...(openedIn(models).length > 0 ? { many: true } : {}),
  };
}

/** The guard and its rules. */
export function guardFiles(context: PlanContext, config: StackConfig): Record<string, FilePlan> {
  return {
    ...assetFiles(context, GUARD_ASSETS),
    "guard.json": configFile(`${stableJson(guardRules(config))}\n`),
  };
}
