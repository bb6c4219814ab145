/** The two maps of a model entry that LiteLLM reads: `litellm_params` and `model_info`. */
export type ModelMap = "params" | "info";

/** What gpubox sets of a deployment, each with the key of a stack config that it is made from. */
export const OWNED_KEYS: Record<ModelMap, Record<string, string>> = {
  params: {
    model: "`model`",
    deployment_id: "`model`",
    custom_llm_provider: "the prefix of `model`, or `provider`",
    api_base: "`baseUrl`, or `apiBase` of engine: cloud",
    base_url: "`baseUrl`, or `apiBase` of engine: cloud",
    api_key: "`apiKey`",
    api_version: "`apiVersion`",
    litellm_credential_name: "`apiKey`",
    aws_region_name: "`aws.region`",
    aws_access_key_id: "`aws.accessKeyId`",
    aws_secret_access_key: "`aws.secretAccessKey`",
    aws_session_token: "`aws.sessionToken`",
    vertex_project: "`vertex.project`",
    vertex_location: "`vertex.location`",
    vertex_credentials: "`vertex.credentials`",
    timeout: "`timeoutSeconds`",
    request_timeout: "`timeoutSeconds`",
    force_timeout: "`timeoutSeconds`",
    rpm: "`rpm`",
    tpm: "`tpm`",
    max_parallel_requests: "`maxParallel`",
    max_budget: "`budget.usd`",
    budget_duration: "`budget.per`",
    tags: "`tags`",
    weight: "`weight` of an instance",
    order: "`order` of an instance",
    base_model: "`baseModel`",
    model_info: "`info`",
    num_retries: "gpubox:gateway.routing.retries",
    max_retries: "gpubox:gateway.routing.retries",
    cooldown_time: "gpubox:gateway.routing.cooldownSeconds",
    routing_strategy: "gpubox:gateway.routing.strategy",
    enable_tag_filtering: "gpubox:gateway.routing.tagFiltering",
    fallbacks: "gpubox:gateway.routing.fallbacks",
    context_window_fallback_dict: "gpubox:gateway.routing.contextWindowFallbacks",
    cache: "gpubox:cache",
    caching: "gpubox:cache",
    caching_groups: "gpubox:cache",
    ttl: "gpubox:cache.ttlSeconds",
  },
  info: {
    id: "the entry's name, and the `name` of an instance",
    model_name: "the entry's name",
    mode: "`mode`",
    base_model: "`baseModel`",
    litellm_provider: "the prefix of `model`, or `provider`",
    input_cost_per_token: "`price.inputPerMillion`",
    output_cost_per_token: "`price.outputPerMillion`",
    supported_endpoints: "`messages`",
    rpm: "`rpm`",
    tpm: "`tpm`",
    cooldown_time: "gpubox:gateway.routing.cooldownSeconds",
    enable_tag_filtering: "gpubox:gateway.routing.tagFiltering",
    disable_background_health_check: "nothing: models on demand have it",
  },
};

/** Keys that LiteLLM reads and that break what a box promises. */
interface Refused {
  keys: RegExp;
  /** Values that are refused. Default: every one. */
  when?: (value: unknown) => boolean;
  why: string;
  fix: string;
}

export const REFUSED_KEYS: Record<ModelMap, Refused[]> = {
  params: [
    {
      keys: /_cost(_|$)|cost_per_|^tiered_pricing$|_uplift_multiplier/,
      why: "Prices stand in one place, or LiteLLM would take only some of them.",
      fix: "Write it under `info`; the prices of a token are `price`.",
    },
    {
      keys: /^(messages|input|prompt|query|documents|file|system|stream|id|function_call)$/,
      why: "It is what a client asks, and not a setting.",
      fix: "Remove it.",
    },
    {
      keys: /^mock_/,
      why: "LiteLLM would answer by itself, and no model would be asked.",
      fix: "Remove it; engine: llamacpp with model: canned has one fixed answer.",
    },
    {
      keys: /^(langfuse|langsmith|arize|dd|newrelic|posthog|humanloop|wandb|weave|signoz|gcs|braintrust|slack)_|^(no-log|verbose|logger_fn|log_client_error_tracebacks|turn_off_message_logging|litellm_disabled_callbacks|litellm_request_debug)$/,
      why: "It decides where prompts are logged, or whether they are.",
      fix: "Use gpubox:observability, or the callbacks of gpubox:gateway.settings.litellm.",
    },
    {
      keys: /(_file|_path|_profile_name|_web_identity_token|^use_xai_oauth)$/,
      why: "It names a file in the gateway's container, and nothing brings that file there.",
      fix: "Put the key itself into a secret, and name it: { secret: <its name> }.",
    },
    {
      keys: /^(extra_)?headers$/,
      when: (value) => namesField(value, "authorization"),
      why: "LiteLLM sends the entry's own key in the field Authorization, whatever stands here.",
      fix: "Use apiKey: { secret: <its name> }.",
    },
    {
      keys: /^ssl_verify$/,
      when: (value) => value !== true,
      why: "The gateway would send the key to whoever answers at the address.",
      fix: "Remove it; give the server a certificate that the gateway's image trusts.",
    },
    {
      keys: /(_endpoint|_url|_host|_port|_ref)$/,
      why: "It is an address that requests or keys go to, and a preview would not show it.",
      fix: "Write `baseUrl`, or `apiBase` of engine: cloud.",
    },
    {
      keys: /^(auto|complexity|adaptive|quality)_router_|^silent_model$|^model_list$/,
      why: "Other models would be asked than the one that the client names.",
      fix: "Declare each model; gpubox:gateway.routing.fallbacks says who stands in for whom.",
    },
    {
      keys: /^prompt_(id|variables|version|environment|label)$/,
      why: "LiteLLM would take the prompt from a service that nothing here declares.",
      fix: "Use litellm_system_prompt, or let clients send the prompt.",
    },
    {
      keys: /^use_in_pass_through$/,
      when: (value) => value === true,
      why: "It opens routes that go past the models and their limits, with this model's key.",
      fix: "Remove it.",
    },
    {
      keys: /^(client|shared_session|azure_ad_token_provider|complete_response|metadata|litellm_metadata|litellm_trace_id|litellm_session_id|model_config|search_tool_name)$|^(milvus|valkey|vector|s3)_|^(embedding_model|index_name|bucket_name|output_vector_size|provider_specific_header)$/,
      why: "LiteLLM reads it of a request, or of something that is no model.",
      fix: "Remove it.",
    },
  ],
  info: [
    {
      keys: /^(team_id|team_public_model_name|db_model|created_(at|by)|updated_(at|by)|model_id|key|original_model_id|access_via_team_ids|direct_access|blocked|internal_router_model|member_auto_router)$/,
      why: "LiteLLM keeps it of the models in its database.",
      fix: "Remove it; gpubox:access says who may use which model.",
    },
  ],
};

function namesField(value: unknown, field: string): boolean {
  const names = value && typeof value === "object" ? Object.keys(value) : [];
  return names.some((name) => name.toLowerCase() === field);
}
