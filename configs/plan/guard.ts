import {
  BODY_ROUTES,
  type BodyRoute,
  KEPT_HEADERS,
  KEPT_METADATA,
  STEERING_METADATA,
  STEERING_PREFIXES,
  WHOLE_ROUTES,
} from "../bodies/judged";
import { keptIn, steeringNames } from "../bodies/kept";
import litellm from "../bodies/litellm.json";
import type { ModelConfig } from "../engines";
import type { FilePlan } from "../kit/text";
import { configFile, stableJson } from "../kit/text";
import type { StackConfig } from "../stack/config";
import { instancesOf } from "../stack/instances";
import { openedIn } from "../stack/wildcards";
import { assetFiles, type PlanContext } from "./context";

/** The guard's files, side by side in the directory of LiteLLM's config, which is where LiteLLM looks for them. */
export const GUARD_ASSETS: Record<string, string> = Object.fromEntries(
  ["gpubox_guard", "guard_affinity", "guard_answers", "guard_body", "guard_cache", "guard_conversation"]
    .concat(["guard_counts", "guard_front", "guard_install", "guard_redirects", "guard_streams"])
    .concat(["sitecustomize"])
    .map((module) => [`${module}.py`, `guard/${module}.py`]),
);

/** The guard, as LiteLLM's `callbacks` name it. */
export const GUARD_CALLBACK = "gpubox_guard.instance";

/** The content of guard.json. */
export interface GuardRules {
  /** Route to the parameters that its body may contain. `whole`: a stream of it is refused. */
  routes: Record<string, { api: string; keep: string[]; whole?: true }>;
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
  /** Seconds that a conversation stays with one of a model's servers. Absent where no model has several, or nobody wants it. */
  affinity?: number;
}

/** The rules of a stack's gateways. */
export function guardRules({
  gateway,
  cache,
  models,
}: Pick<StackConfig, "gateway" | "cache" | "models">): GuardRules {
  const { affinitySeconds } = gateway.routing;
  const routes = Object.fromEntries(
    (Object.keys(BODY_ROUTES) as BodyRoute[]).map((route) => [
      route,
      {
        api: BODY_ROUTES[route],
        keep: [...new Set([...keptIn(route), ...gateway.allowParameters])].sort(),
        ...(WHOLE_ROUTES.includes(route) ? { whole: true as const } : {}),
      },
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
    ...(affinitySeconds > 0 && Object.entries(models).some(hasSeveral) ? { affinity: affinitySeconds } : {}),
  };
}

function hasSeveral([name, model]: [string, ModelConfig]): boolean {
  return instancesOf(name, model).length > 1;
}

/** The guard and its rules. */
export function guardFiles(context: PlanContext, config: StackConfig): Record<string, FilePlan> {
  return {
    ...assetFiles(context, GUARD_ASSETS),
    "guard.json": configFile(`${stableJson(guardRules(config))}\n`),
  };
}
