import { imported, lost } from "../../../support/imported";

const one = (params: string, more = "") =>
  `model_list:\n- model_name: m\n  litellm_params: ${params}\n${more}`;
const entryOf = async (params: string, more = "") =>
  (await imported({ "config.yaml": one(params, more) })).values.models!.m;

test.each([
  [
    "{ model: hosted_vllm/org/m, api_base: 'http://gpu.lan:8000/v1', api_key: dummy, rpm: 6 }",
    { engine: "openai", baseUrl: "http://gpu.lan:8000/v1", model: "org/m", rpm: 6 },
  ],
  [
    "{ model: ollama/m, api_base: 'http://localhost:11434' }",
    { engine: "openai", baseUrl: "http://host.docker.internal:11434/v1", provider: "ollama_chat" },
  ],
  [
    "{ model: azure/x, api_base: 'https://x.azure.com', api_version: '1', api_key: os.environ/MY_AZURE_KEY, timeout: 60 }",
    {
      ...{ engine: "cloud", model: "azure/x", apiBase: "https://x.azure.com", apiVersion: "1" },
      ...{ apiKey: { secret: "myAzureKey" }, timeoutSeconds: 60 },
    },
  ],
  ["{ model: gpt-5 }", { engine: "cloud", model: "openai/gpt-5", apiKey: { secret: "openaiApiKey" } }],
  [
    "{ model: bedrock/x, aws_region_name: eu-1, aws_access_key_id: os.environ/ID, aws_secret_access_key: os.environ/KEY }",
    {
      ...{ engine: "cloud", model: "bedrock/x" },
      aws: { region: "eu-1", accessKeyId: { secret: "id" }, secretAccessKey: { secret: "key" } },
    },
  ],
])("%s is an entry", async (params, entry) => {
  expect(await entryOf(params)).toEqual(entry);
});

test("prices, mode and context of model_info are the entry's", async () => {
  const info =
    "  model_info: { mode: embedding, input_cost_per_token: 0.00000015, output_cost_per_token: 6e-7, max_input_tokens: 8192, base_model: azure/x }";
  expect(await entryOf("{ model: hosted_vllm/m, api_base: 'http://h.lan/v1' }", info)).toEqual({
    ...{ engine: "openai", baseUrl: "http://h.lan/v1", mode: "embedding", contextLength: 8192 },
    ...{ price: { inputPerMillion: 0.15, outputPerMillion: 0.6 }, baseModel: "azure/x" },
  });
});

test("deployments of one name are instances of one entry, and what they have alike is the entry's", async () => {
  const { values, routes } = await imported({
    "config.yaml": `
model_list:
- { model_name: m, litellm_params: { model: groq/a, api_key: os.environ/A, rpm: 1 }, model_info: { id: m-eu } }
- { model_name: m, litellm_params: { model: groq/a, api_key: os.environ/B, rpm: 1, weight: 3 } }
`,
  });
  expect(values.models).toEqual({
    m: {
      ...{ engine: "cloud", model: "groq/a", rpm: 1 },
      instances: [
        { name: "eu", apiKey: { secret: "a" } },
        { apiKey: { secret: "b" }, weight: 3 },
      ],
    },
  });
  expect(routes).toEqual([{ name: "m", old: ["groq/a", "groq/a"], new: ["groq/a", "groq/a"] }]);
});

test("one name over a server and a provider is one entry", async () => {
  const { values } = await imported({
    "config.yaml": `
model_list:
- { model_name: m, litellm_params: { model: hosted_vllm/x, api_base: "http://gpu.lan/v1", temperature: 0.5 } }
- { model_name: m, litellm_params: { model: groq/a, api_key: os.environ/GROQ, extra_headers: { a: os.environ/HEADER } } }
`,
  });
  expect(values.models!.m).toEqual({
    engine: "cloud",
    instances: [
      { model: "hosted_vllm/x", apiBase: "http://gpu.lan/v1", apiKey: "none", params: { temperature: 0.5 } },
      { model: "groq/a", apiKey: { secret: "groq" }, params: { extra_headers: { a: { secret: "header" } } } },
    ],
  });
});

test("a name for many models is an entry for many", async () => {
  const { values } = await imported({
    "config.yaml": `
model_list:
- { model_name: "groq/*", litellm_params: { model: "groq/*", api_key: os.environ/GROQ } }
- { model_name: "lab/*", litellm_params: { model: "hosted_vllm/*", api_base: "http://gpu.lan/v1" } }
`,
  });
  expect(values.models).toEqual({
    "groq/*": { engine: "cloud", model: "groq/*", apiKey: { secret: "groq" } },
    "lab/*": { engine: "openai", baseUrl: "http://gpu.lan/v1", model: "*" },
  });
});

test("settings go where gpubox has a key for them, else under their own names", async () => {
  const { values } = await imported({
    "config.yaml": one(
      "{ model: groq/a, api_key: none }",
      `
litellm_settings: { drop_params: off, callbacks: [prometheus], cache: true, cache_params: { type: local, ttl: 60 } }
router_settings:
  { routing_strategy: least-busy, num_retries: 3, timeout: 30, disable_cooldowns: true, model_group_alias: { n: m, o: { model: m, hidden: true } } }
general_settings: { alerting: [slack] }
environment_variables: { SLACK_WEBHOOK_URL: https://hooks.example/PLANTED-hook, PLAIN: x }
`,
    ),
  });
  expect(values).toEqual({
    gateway: {
      ...{ port: 4100, dropParams: false },
      routing: { strategy: "least-busy", retries: 3, timeoutSeconds: 30, cooldownSeconds: 0 },
      settings: { litellm: { callbacks: ["prometheus"] }, general: { alerting: ["slack"] } },
      env: { PLAIN: "x", SLACK_WEBHOOK_URL: { secret: "slackWebhookUrl" } },
    },
    cache: { ttlSeconds: 60, type: "local", mode: "none" },
    database: { mode: "none" },
    models: { m: { engine: "cloud", model: "groq/a", apiKey: "none", aliases: ["n", "o"] } },
  });
});

test("LiteLLM's affinity of sessions is gpubox's own, and its other checks stay", async () => {
  const routed = async (settings: string) => {
    const { values } = await imported({
      "config.yaml": one("{ model: groq/a, api_key: none }", `\nrouter_settings: ${settings}\n`),
    });
    const { routing, settings: passed } = values.gateway as Record<string, unknown>;
    return { routing, passed };
  };
  expect(
    await routed(
      "{ optional_pre_call_checks: [session_affinity, prompt_caching], deployment_affinity_ttl_seconds: 60 }",
    ),
  ).toEqual({
    routing: { affinitySeconds: 60 },
    passed: { router: { optional_pre_call_checks: ["prompt_caching"] } },
  });
  const theirs = {
    optional_pre_call_checks: ["deployment_affinity"],
    deployment_affinity_ttl_seconds: 60,
  };
  expect(await routed(JSON.stringify(theirs))).toEqual({ passed: { router: theirs } });
});

test("what gpubox refuses is told with its reason and its place, and the rest stays", async () => {
  const made = await imported({
    "config.yaml": one(
      "{ model: groq/a, api_key: none, extra_mystery: 1 }",
      `
litellm_settings: { callbacks: [prometheus, my.handler, audit.log], no_such_setting: 1 }
router_settings: { fallbacks: [{ m: [gone] }] }
`,
    ),
  });
  expect(made.values.gateway).toEqual({
    port: 4100,
    settings: { litellm: { callbacks: ["prometheus"] } },
  });
  expect(Object.keys(lost(made)).sort()).toEqual([
    "litellm_settings.callbacks[1]",
    "litellm_settings.callbacks[2]",
    "litellm_settings.no_such_setting",
    "model_list[0].litellm_params.extra_mystery",
    "router_settings",
  ]);
  expect(made.text).toContain(
    "# Not carried over: config.yaml:3:51 model_list[0].litellm_params.extra_mystery",
  );
});

test("values of keys are in no text, and secrets have them", async () => {
  const made = await imported({
    "config.yaml": one(
      "{ model: groq/a, api_key: PLANTED-plain-0123456789 }",
      "general_settings: { master_key: sk-PLANTED-master-0123456789 }",
    ),
    ".env": "UNUSED=PLANTED-unused",
  });
  const { secrets, config: _, ...shown } = made;
  expect(JSON.stringify(shown)).not.toContain("PLANTED");
  expect(secrets).toEqual({ groqKey: "PLANTED-plain-0123456789", masterKey: "sk-PLANTED-master-0123456789" });
});

test("a master key that gpubox would refuse is left to `up`, and the same key twice is one secret", async () => {
  const made = await imported({
    "config.yaml": `
model_list:
- { model_name: a, litellm_params: { model: groq/a, api_key: PLANTED-same-0123456789 } }
- { model_name: b, litellm_params: { model: together_ai/b, api_key: PLANTED-same-0123456789 } }
general_settings: { master_key: sk-1234 }
`,
  });
  expect(made.secrets).toEqual({ groqKey: "PLANTED-same-0123456789" });
  expect(made.values.models!.b).toMatchObject({ apiKey: { secret: "groqKey" } });
  expect(lost(made)).toEqual({
    general_settings: "it is shorter than 20 characters; `up` makes a new one, which clients need",
  });
});

test("a variable's value comes from .env beside the file, and one that is set nowhere is named", async () => {
  const made = await imported({
    "config.yaml": `
model_list:
- { model_name: a, litellm_params: { model: groq/a, api_key: os.environ/PLANTED_A_KEY } }
- { model_name: b, litellm_params: { model: groq/b, api_key: os.environ/PLANTED_B_KEY } }
- { model_name: c, litellm_params: { model: hosted_vllm/c, api_base: os.environ/PLANTED_C_BASE } }
`,
    ".env": "PLANTED_A_KEY=found",
  });
  expect(made.secrets).toEqual({ plantedAKey: "found" });
  expect(made.missing).toEqual({ plantedBKey: "the variable PLANTED_B_KEY" });
  expect(Object.keys(made.values.models!)).toEqual(["a", "b"]);
  expect(lost(made)["model_list[2]"]).toContain("PLANTED_C_BASE, which is not set here");
});

test("a setting comes from the variable that it names, as a number or a truth value; one that is not set is told", async () => {
  const made = await imported({
    "config.yaml": `
model_list: [{ model_name: m, litellm_params: { model: groq/a, api_key: none } }]
litellm_settings: { drop_params: "True", request_timeout: 7200 }
router_settings: { num_retries: os.environ/RETRIES, timeout: os.environ/NOWHERE }
`,
    ".env": "RETRIES=4\n",
  });
  expect(made.values.gateway).toMatchObject({
    dropParams: true,
    routing: { retries: 4, timeoutSeconds: 7200 },
  });
  expect(lost(made)).toEqual({
    "router_settings.timeout":
      "it is in the variable NOWHERE, which is not set here: set it and import again",
  });
});
