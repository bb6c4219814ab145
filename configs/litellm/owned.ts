/** The sections of LiteLLM's config that people may write into. */
export type SettingsSection = "litellm" | "router" | "general";

const ROUTING = {
  routing_strategy: "gpubox:gateway.routing.strategy",
  num_retries: "gpubox:gateway.routing.retries",
  timeout: "gpubox:gateway.routing.timeoutSeconds",
  request_timeout: "gpubox:gateway.routing.timeoutSeconds",
  stream_timeout: "gpubox:gateway.routing.streamTimeoutSeconds",
  cooldown_time: "gpubox:gateway.routing.cooldownSeconds",
  allowed_fails: "gpubox:gateway.routing.allowedFails",
  fallbacks: "gpubox:gateway.routing.fallbacks",
  context_window_fallbacks: "gpubox:gateway.routing.contextWindowFallbacks",
  content_policy_fallbacks: "gpubox:gateway.routing.contentPolicyFallbacks",
};

const REDIS = {
  redis_url: "gpubox:cache: with a URL, LiteLLM drops its timeouts and is slower",
  redis_host: "gpubox:cache",
  redis_port: "gpubox:cache",
  redis_password: "gpubox:cache",
};

/** LiteLLM settings that gpubox sets, each with the key of a stack config that it is made from. */
export const OWNED_SETTINGS: Record<SettingsSection, Record<string, string>> = {
  litellm: {
    ...ROUTING,
    ...REDIS,
    cache: "gpubox:cache.ttlSeconds",
    cache_params: "gpubox:cache",
    enable_caching_on_provider_specific_optional_params:
      "nothing: with a cache it is always on, or requests that differ in such a parameter would get one answer",
    drop_params: "gpubox:gateway.dropParams",
    json_logs: "gpubox:gateway.logs.json",
    set_verbose: "gpubox:gateway.logs.level",
    max_budget: "gpubox:gateway.limits.budget.usd",
    budget_duration: "gpubox:gateway.limits.budget.per",
    sse_keepalive_ping_interval_seconds: "nothing: it goes by what a valve holds",
    anthropic_sse_ping_interval_seconds: "nothing: it goes by what a valve holds",
  },
  router: {
    ...ROUTING,
    ...REDIS,
    disable_cooldowns: "gpubox:gateway.routing.cooldownSeconds: 0",
    model_group_alias: "`aliases` of the model",
    enable_pre_call_checks: "gpubox:gateway.routing.preCallChecks",
    enable_tag_filtering: "gpubox:gateway.routing.tagFiltering",
    provider_budget_config: "gpubox:gateway.limits.providerBudgets",
    set_verbose: "gpubox:gateway.logs.level",
    debug_level: "gpubox:gateway.logs.level",
  },
  general: {
    master_key: "the secret gpubox:masterKey",
    database_url: "gpubox:database",
    maximum_spend_logs_retention_period: "gpubox:database.spendLogs.keepDays",
    enable_drain_endpoint: "nothing: it is always on",
    drain_endpoint_token: "nothing: it is made for each generation",
    custom_sso: "gpubox:access.sso",
    store_model_in_db:
      "gpubox:models: beside a config file, models of the database split their requests and hide what changed",
  },
};

/** Environment variables of a gateway that gpubox sets, each with the key that it is made from. */
export const OWNED_VARIABLES: Record<string, string> = {
  LITELLM_MASTER_KEY: "the secret gpubox:masterKey",
  PROXY_MASTER_KEY: "the secret gpubox:masterKey",
  LITELLM_SALT_KEY: "the secret gpubox:saltKey",
  DATABASE_URL: "gpubox:database",
  REDIS_HOST: "gpubox:cache",
  REDIS_PORT: "gpubox:cache",
  REDIS_USERNAME: "gpubox:cache",
  REDIS_PASSWORD: "gpubox:cache",
  REDIS_DB: "gpubox:cache",
  REDIS_SSL: "gpubox:cache",
  REDIS_URL: "gpubox:cache: with a URL, LiteLLM drops its timeouts and is slower",
  LITELLM_LOG: "gpubox:gateway.logs.level",
  DEBUG: "gpubox:gateway.logs.level",
  DETAILED_DEBUG: "gpubox:gateway.logs.level",
  JSON_LOGS: "gpubox:gateway.logs.json",
  DRAIN_ENDPOINT_TOKEN: "nothing: it is made for each generation",
  DRAIN_NOTICE_SECONDS: "nothing: it goes by the edge's health check",
  GRACEFUL_SHUTDOWN_TIMEOUT:
    "gpubox:gateway.drainTimeout, which also makes Docker wait longer than that before it kills",
  KEEPALIVE_TIMEOUT: "nothing: it stays above the edge's idle timeout",
  AIOHTTP_KEEPALIVE_TIMEOUT: "nothing: it stays below the valves' idle timeout",
  STORE_MODEL_IN_DB: "gpubox:models",
  HOST: "gpubox:gateway.bind, which is the edge's",
  PORT: "gpubox:gateway.port, which is the edge's",
  CONFIG_FILE_PATH: "nothing: a generation has its own",
  HOME: "nothing: the only place that a gateway may write to is /tmp",
  PATH: "nothing: it is the image's",
};
