import { stringify } from "yaml";
import type { Route } from "../engines/engine";
import { connectionPool } from "../litellm/pool";
import { type SecretRef, secretRef } from "../schema/shared";
import type { StackConfig } from "../stack/config";
import { guardrailSection } from "./guardrails";
import { callbackSettings } from "./observability/gateway";
import { passThroughSettings } from "./passThrough";
import type { Deployment, RoutedModel } from "./routing";
import { cacheSettings, deploymentLimits, routerSettings } from "./routing";
import { secretVariable } from "./secretVariable";
import { SSO_HANDLER } from "./sso";

/** Name of the environment variable that carries the key between gateway and backends. */
export const BACKEND_KEY = "GPUBOX_BACKEND_KEY";

/** LiteLLM's config.yaml. It names environment variables for secrets and holds none. */
export function litellmConfig(
  config: StackConfig,
  models: RoutedModel[],
  uses: { database: boolean; redis: boolean; drain: boolean; guard: boolean; replicas: number },
): string {
  const { settings, routing, limits, dropParams, logs } = config.gateway;
  const redis = uses.redis ? redisSettings() : undefined;
  const document = {
    model_list: models.flatMap((model) =>
      model.deployments.map((one) => deployment(config, model, one, uses.replicas)),
    ),
    litellm_settings: {
      // Seconds; LiteLLM's own default is 6000.
      request_timeout: routing.timeoutSeconds,
      drop_params: dropParams,
      // Seconds of silence in a stream until a comment shows that it lives. Longer than a valve holds by default, so that
      // a model that is away is still a 503 and not an error inside a stream that has begun.
      sse_keepalive_ping_interval_seconds: 45,
      anthropic_sse_ping_interval_seconds: 45,
      json_logs: logs.json,
      ...cacheSettings(config, redis),
      // LiteLLM's own 422 would call the request malformed, and clients ask again after a 429 (docs/decisions/0035).
      ...(uses.database ? { budget_exceeded_status_code: 402 } : {}),
      ...(limits.budget ? { max_budget: limits.budget.usd, budget_duration: limits.budget.per } : {}),
      ...settings.litellm,
      ...callbackSettings(config, uses.guard),
    },
    router_settings: {
      ...(redis ? { redis_host: redis.host, redis_port: redis.port, redis_password: redis.password } : {}),
      ...routerSettings(config, models),
    },
    general_settings: {
      master_key: "os.environ/LITELLM_MASTER_KEY",
      ...(uses.database
        ? {
            database_url: "os.environ/DATABASE_URL",
            database_connection_pool_limit: connectionPool(uses.replicas),
            maximum_spend_logs_retention_period: `${config.database.spendLogs.keepDays}d`,
            // Seconds, and up to five more; LiteLLM's own default is 10. A gateway that is killed loses what it has not written.
            proxy_batch_write_at: 1,
            // Redis keeps spend that the database did not take. Without it, a gateway loses that of keys and teams.
            ...(redis ? { use_redis_transaction_buffer: true } : {}),
          }
        : {}),
      ...(uses.drain
        ? { enable_drain_endpoint: true, drain_endpoint_token: "os.environ/DRAIN_ENDPOINT_TOKEN" }
        : {}),
      // Its file is beside this one, as the guard's are.
      ...(uses.database && uses.guard && config.access.sso ? { custom_sso: SSO_HANDLER } : {}),
      // The stack config is the only source of models.
      store_model_in_db: false,
      // LiteLLM would ask every server for its context length, at each start and every five minutes. That loads models on demand.
      disable_model_info_refresh: true,
      // A client that hangs up before the first byte frees the server. Without it, LiteLLM waits for an answer that nobody reads.
      cancel_on_disconnect: true,
      ...passThroughSettings(config),
      ...settings.general,
    },
    ...guardrailSection(config),
  };
  // PyYAML reads YAML 1.1, where a model `off` without quotes is false and `1:30` a number.
  return stringify(document, { version: "1.1" });
}

/** Host, port and password and never `redis_url`: with a URL, LiteLLM drops its timeouts and is slower. */
function redisSettings() {
  return {
    host: "os.environ/REDIS_HOST",
    port: "os.environ/REDIS_PORT",
    password: "os.environ/REDIS_PASSWORD",
  };
}

/** One request that its server refuses would keep all others from it for seconds, and nobody else is there to ask. */
function coolsDown({ gateway }: StackConfig, { name, model, deployments }: RoutedModel): boolean {
  const names = [name, ...model.aliases];
  return deployments.length > 1 || names.some((one) => Object.hasOwn(gateway.routing.fallbacks, one));
}

function deployment(
  config: StackConfig,
  routed: RoutedModel,
  { id, route, limits, unguarded, ...share }: Deployment,
  replicas: number,
) {
  const { name, model } = routed;
  const { routing } = config.gateway;
  return {
    model_name: name,
    litellm_params: {
      model: route.model,
      ...(route.apiBase ? { api_base: route.apiBase } : {}),
      ...(route.apiVersion ? { api_version: route.apiVersion } : {}),
      api_key: keyOf(route),
      timeout: model.timeoutSeconds ?? routing.timeoutSeconds,
      ...(route.retries === undefined ? {} : { num_retries: route.retries }),
      ...(coolsDown(config, routed) ? {} : { cooldown_time: 0 }),
      ...deploymentLimits(limits, { replicas, shared: unguarded }),
      ...(share.weight ? { weight: share.weight } : {}),
      ...(share.order ? { order: share.order } : {}),
      ...route.params,
      ...Object.fromEntries(Object.entries(route.secrets ?? {}).map(([key, ref]) => [key, variable(ref)])),
      ...(withVariables(route.preset) as Route["preset"]),
    },
    model_info: {
      // Without an id of its own, LiteLLM derives one from the parameters and forgets cooldowns and spend at each edit.
      id,
      // LiteLLM looks here first, and for /v1/responses and others that it does not translate only here.
      ...(coolsDown(config, routed) ? {} : { cooldown_time: 0 }),
      mode: route.mode ?? "chat",
      ...(route.supportedEndpoints ? { supported_endpoints: route.supportedEndpoints } : {}),
      // LiteLLM's health checks, where somebody turns them on, would load it again and again.
      ...(model.start === "ondemand" ? { disable_background_health_check: true } : {}),
      ...route.info,
    },
  };
}

function variable({ secret }: SecretRef): string {
  return `os.environ/${secretVariable(secret)}`;
}

/** A value with each secret in it named as LiteLLM names a variable, which it puts in at its start. */
function withVariables(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withVariables);
  const secret = secretRef.safeParse(value);
  if (secret.success) return variable(secret.data);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withVariables(inner)]));
}

function keyOf({ apiKey, secrets = {}, ownAccount = false }: Route): string | undefined {
  if (apiKey === "backend") return `os.environ/${BACKEND_KEY}`;
  if (apiKey) return variable(apiKey);
  // OpenAI-compatible clients refuse an empty key, so a server that wants none gets a word that says so. Providers with
  // other credentials would take the word for a key.
  return ownAccount || Object.keys(secrets).length > 0 ? undefined : "none";
}
