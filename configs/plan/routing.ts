import type { ModelConfig } from "../engines";
import type { Route } from "../engines/engine";
import { FALLBACKS } from "../schema/routing";
import { CACHED_CALLS } from "../schema/stores";
import type { StackConfig } from "../stack/config";
import { namesOf } from "../stack/instances";

/** One server's limits. */
export interface Limits {
  rpm?: number;
  tpm?: number;
  maxParallel?: number;
  budget?: { usd: number; per: string };
  tags?: string[];
}

/** One server or account behind a model's name. */
export interface Deployment {
  /** Stable: LiteLLM keeps cooldowns and spend by it. */
  id: string;
  route: Route;
  weight?: number;
  order?: number;
  limits: Limits;
  /** True where nothing but the gateways counts what runs on it: each gets its part of `maxParallel`. */
  unguarded: boolean;
}

/** A declared model with its deployments. */
export interface RoutedModel {
  name: string;
  model: ModelConfig;
  deployments: Deployment[];
}

/** Requests at a time where nothing else is said: what the edge lets in. */
const UNLIMITED = 1000;

/** `router_settings` of a stack, without what reaches Redis. */
export function routerSettings(config: StackConfig, models: RoutedModel[]): Record<string, unknown> {
  const { routing, limits, settings } = config.gateway;
  const optional = settings.router.optional_pre_call_checks;
  const counted =
    limits.enforce &&
    models.some(({ deployments }) => deployments.some(({ limits: { rpm, tpm } }) => rpm ?? tpm));
  const checks = [
    ...(Array.isArray(optional) ? optional : []),
    ...(counted ? ["enforce_model_rate_limits"] : []),
  ];
  return {
    routing_strategy: routing.strategy,
    timeout: routing.timeoutSeconds,
    ...withoutBlanks({
      num_retries: routing.retries,
      stream_timeout: routing.streamTimeoutSeconds,
      allowed_fails: routing.allowedFails,
      ...(routing.cooldownSeconds === 0
        ? { disable_cooldowns: true }
        : { cooldown_time: routing.cooldownSeconds }),
    }),
    ...(routing.preCallChecks ? { enable_pre_call_checks: true } : {}),
    ...(routing.tagFiltering ? { enable_tag_filtering: true } : {}),
    model_group_alias: Object.fromEntries(
      models.flatMap(({ name, model }) => model.aliases.map((alias) => [alias, name])),
    ),
    ...fallbacks(config),
    ...(Object.keys(limits.providerBudgets).length > 0
      ? {
          provider_budget_config: Object.fromEntries(
            Object.entries(limits.providerBudgets).map(([provider, { usd, per }]) => [
              provider,
              { budget_limit: usd, time_period: per },
            ]),
          ),
        }
      : {}),
    ...settings.router,
    ...(checks.length > 0 ? { optional_pre_call_checks: [...new Set(checks)] } : {}),
  };
}

/**
 * LiteLLM looks for the name that the client wrote: an alias needs its model's fallbacks too. Models that this gateway does
 * not have stand in for none.
 */
function fallbacks({ gateway: { routing }, models }: StackConfig): Record<string, unknown> {
  const names = Object.entries(models).flatMap(([name, model]) => namesOf(name, model));
  const entries = Object.entries(FALLBACKS).flatMap(([kind, theirs]) => {
    const declared = Object.entries(routing[kind as keyof typeof FALLBACKS]);
    const map = Object.fromEntries(
      declared
        .map(([from, to]) => [from, to.filter((name) => names.includes(name))] as const)
        .filter(([from, to]) => names.includes(from) && to.length > 0),
    );
    const named = Object.entries(map).flatMap(([from, to]) =>
      [from, ...(models[from]?.aliases ?? []).filter((alias) => !Object.hasOwn(map, alias))].map((name) => ({
        [name]: to,
      })),
    );
    return named.length > 0 ? [[theirs, named] as const] : [];
  });
  return Object.fromEntries(entries);
}

/** What LiteLLM enforces for one server of a model. */
export function deploymentLimits(
  { rpm, tpm, maxParallel, budget, tags }: Limits,
  { replicas, shared }: { replicas: number; shared: boolean },
): Record<string, unknown> {
  // LiteLLM counts what runs in each gateway for itself. A valve counts for all of them; where there is none, each gateway
  // gets its part.
  const parallel = maxParallel && (shared ? Math.floor(maxParallel / replicas) : maxParallel);
  return withoutBlanks({
    rpm,
    tpm,
    // Without a word, LiteLLM makes a limit of its own from rpm or tpm: 1000 tokens a minute would be 6 requests at a time.
    max_parallel_requests: parallel ?? ((rpm ?? tpm) ? UNLIMITED : undefined),
    max_budget: budget?.usd,
    budget_duration: budget?.per,
    tags,
  });
}

/** `litellm_settings` that cache answers; none where no `ttlSeconds` is set. `redis`: how to reach it. */
export function cacheSettings({ cache }: StackConfig, redis: object | undefined): Record<string, unknown> {
  if (!cache.ttlSeconds) return {};
  const local = cache.type === "local" || redis === undefined;
  return {
    cache: true,
    // Without it, requests that differ in a parameter that LiteLLM does not know (chat_template_kwargs) get one answer.
    enable_caching_on_provider_specific_optional_params: true,
    cache_params: {
      ...(local ? { type: "local" } : { type: "redis", ...redis, namespace: cache.namespace }),
      ttl: cache.ttlSeconds,
      ...(cache.optIn ? { mode: "default_off" } : {}),
      ...(cache.calls ? { supported_call_types: cache.calls.flatMap((call) => CACHED_CALLS[call]) } : {}),
    },
  };
}

function withoutBlanks(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
