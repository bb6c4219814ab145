import { parse } from "yaml";
import { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { rawStack, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const far = { engine: "openai", baseUrl: "http://far:8000/v1" };
const models = { a: { ...far, aliases: ["alias-a"] }, b: far, c: far };

/** `path: what fix` of every mistake, sorted. */
function mistakes(values: Record<string, unknown>): string[] {
  try {
    parseStack(rawStack({ models, ...values }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((p) => `${p.path}: ${p.what} ${p.fix}`).sort();
  }
}

interface Config {
  model_list: {
    model_name: string;
    litellm_params: Record<string, unknown>;
    model_info: Record<string, unknown>;
  }[];
  litellm_settings: Record<string, unknown>;
  router_settings: Record<string, unknown>;
}

function rendered(values: Record<string, unknown>): Config {
  const plan = testPlan({ models, ...values });
  return parse(renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets));
}

test("by default there is no fallback, no budget and no limit", () => {
  const { router_settings: router, litellm_settings: litellm } = rendered({ cache: { mode: "none" } });
  expect(router).toEqual({
    routing_strategy: "simple-shuffle",
    timeout: 600,
    model_group_alias: { "alias-a": "a" },
  });
  expect(litellm).not.toHaveProperty("cache");
  expect(litellm).not.toHaveProperty("max_budget");
});

test("a model's fallbacks are its aliases' too: LiteLLM goes by the name that the client wrote", () => {
  const routing = {
    fallbacks: { a: ["b", "c"] },
    contextWindowFallbacks: { "alias-a": ["b"] },
    contentPolicyFallbacks: { b: ["c"] },
  };
  const { router_settings: router } = rendered({ gateway: { routing } });
  expect(router).toMatchObject({
    fallbacks: [{ a: ["b", "c"] }, { "alias-a": ["b", "c"] }],
    context_window_fallbacks: [{ "alias-a": ["b"] }],
    content_policy_fallbacks: [{ b: ["c"] }],
  });
});

test("every setting of the routing reaches LiteLLM under its name", () => {
  const routing = {
    strategy: "least-busy",
    retries: 0,
    timeoutSeconds: 300,
    streamTimeoutSeconds: 60,
    cooldownSeconds: 7,
    allowedFails: 2,
    preCallChecks: true,
    tagFiltering: true,
  };
  const {
    router_settings: router,
    litellm_settings: litellm,
    model_list,
  } = rendered({ gateway: { routing } });
  expect(router).toMatchObject({
    routing_strategy: "least-busy",
    num_retries: 0,
    timeout: 300,
    stream_timeout: 60,
    cooldown_time: 7,
    allowed_fails: 2,
    enable_pre_call_checks: true,
    enable_tag_filtering: true,
  });
  expect(litellm.request_timeout).toBe(300);
  expect(model_list.map((one) => one.litellm_params.timeout)).toEqual([300, 300, 300]);
  expect(rendered({ gateway: { routing: { cooldownSeconds: 0 } } }).router_settings).toMatchObject({
    disable_cooldowns: true,
  });
});

test("a model with one server and no fallback never cools down", () => {
  const instances = [{ baseUrl: "http://one:1/v1" }, { baseUrl: "http://two:1/v1" }];
  const { model_list } = rendered({
    gateway: { routing: { fallbacks: { b: ["c"] } } },
    models: { a: far, b: far, c: far, d: { engine: "openai", instances } },
  });
  const times = model_list.map((one) => [one.model_name, one.litellm_params.cooldown_time]);
  // LiteLLM looks there first; for /v1/responses it does not see the parameters.
  expect(model_list.map((one) => [one.model_name, one.model_info.cooldown_time])).toEqual(times);
  expect(times).toEqual([
    ["a", 0],
    ["b", undefined],
    ["c", 0],
    ["d", undefined],
    ["d", undefined],
  ]);
});

test("a model's own timeout takes precedence over the gateway's", () => {
  const { model_list } = rendered({ models: { a: { ...far, timeoutSeconds: 33 } } });
  expect(model_list[0]!.litellm_params.timeout).toBe(33);
});

test("rpm and tpm are limits, in addition to other checks", () => {
  const values = {
    gateway: { settings: { router: { optional_pre_call_checks: ["prompt_caching"] } } },
    models: { a: { ...far, rpm: 5 } },
  };
  expect(rendered(values).router_settings.optional_pre_call_checks).toEqual([
    "prompt_caching",
    "enforce_model_rate_limits",
  ]);
  const hints = { gateway: { limits: { enforce: false } }, models: { a: { ...far, rpm: 5 } } };
  expect(rendered(hints).router_settings).not.toHaveProperty("optional_pre_call_checks");
});

test("tpm does not limit parallel requests, as it would in LiteLLM by default", () => {
  const { model_list } = rendered({
    models: { a: { ...far, tpm: 1000 }, b: { ...far, tpm: 1000, maxParallel: 3 } },
  });
  expect(model_list.map(({ litellm_params: p }) => p.max_parallel_requests)).toEqual([1000, 3]);
});

test("gateways share the limit of a server that nothing else guards; a valve keeps it for all of them", () => {
  const values = {
    gateway: { replicas: 2 },
    models: { a: { ...far, maxParallel: 5 }, tiny: { ...tinyModel.tiny, maxParallel: 5 } },
  };
  const { model_list } = rendered(values);
  expect(model_list.map(({ litellm_params: p }) => p.max_parallel_requests)).toEqual([2, 5]);
  const [backend] = testPlan(values).backends;
  const valve = renderText(backend!.valve.directory.files["haproxy.cfg"]!.text, testSecrets);
  expect(valve).toContain("if { sc0_conn_cur(running) gt 5 }");
});

test("budgets and tags reach LiteLLM under its names", () => {
  const price = { inputPerMillion: 1 };
  const limits = {
    budget: { usd: 1000, per: "1mo" },
    providerBudgets: { hosted_vllm: { usd: 5, per: "1d" } },
  };
  const { model_list, router_settings, litellm_settings } = rendered({
    gateway: { limits },
    models: { a: { ...far, price, budget: { usd: 2, per: "1w" }, tags: ["paid"] } },
  });
  expect(model_list[0]!.litellm_params).toMatchObject({
    max_budget: 2,
    budget_duration: "1w",
    tags: ["paid"],
  });
  expect(router_settings.provider_budget_config).toEqual({
    hosted_vllm: { budget_limit: 5, time_period: "1d" },
  });
  expect(litellm_settings).toMatchObject({ max_budget: 1000, budget_duration: "1mo" });
});

test("instances have limits of their own", () => {
  const instances = [{ baseUrl: "http://one:1/v1", rpm: 5 }, { baseUrl: "http://two:1/v1" }];
  const { model_list } = rendered({ models: { a: { engine: "openai", rpm: 9, instances } } });
  expect(model_list.map(({ litellm_params: p }) => p.rpm)).toEqual([5, 9]);
});

test("the cache has a place, a lifetime, a scope and an opt-in", () => {
  const cache = { ttlSeconds: 60, namespace: "mine", calls: ["chat", "embedding"], optIn: true };
  expect(rendered({ cache }).litellm_settings).toMatchObject({
    cache: true,
    enable_caching_on_provider_specific_optional_params: true,
    cache_params: {
      type: "redis",
      host: "os.environ/REDIS_HOST",
      namespace: "mine",
      ttl: 60,
      mode: "default_off",
      supported_call_types: ["completion", "acompletion", "embedding", "aembedding"],
    },
  });
  const local = rendered({ cache: { mode: "none", type: "local", ttlSeconds: 60 } });
  expect(local.litellm_settings.cache_params).toEqual({ type: "local", ttl: 60 });
});

test("the gateway logs as the config says", () => {
  const { gateway } = testPlan({
    models,
    gateway: { logs: { level: "INFO", json: false }, dropParams: false },
  });
  expect(gateway.container.env.LITELLM_LOG).toBe("INFO");
  expect(rendered({ gateway: { logs: { json: false }, dropParams: false } }).litellm_settings).toMatchObject({
    json_logs: false,
    drop_params: false,
  });
});

test("a variable's secret is in the gateway's file but in no plan, and a plain one is quoted", () => {
  const values = { models, gateway: { env: { A_KEY: { secret: "mine" }, B: "it's" } } };
  const secrets = { ...testSecrets, mine: "sk-PLANTED-mine" };
  const plan = testPlan(values, secrets);
  const text = renderText(plan.gateway.directory.files["gateway.env"]!.text, secrets);
  expect(text).toContain("A_KEY='sk-PLANTED-mine'\nB='it'\\''s'\n");
  expect(JSON.stringify(plan)).not.toContain("PLANTED");
});

const circle = (fallbacks: Record<string, string[]>) => mistakes({ gateway: { routing: { fallbacks } } });

test("fallbacks that go in a circle are refused, through aliases too", () => {
  expect(circle({ a: ["b"], b: ["c"], c: ["alias-a"] })).toEqual([
    "gpubox:gateway.routing.fallbacks.a: The fallbacks go in a circle: a → b → c → a. Take one of them out.",
  ]);
  expect(circle({ a: ["a"] })).toEqual([
    "gpubox:gateway.routing.fallbacks.a: The fallbacks go in a circle: a → a. Take one of them out.",
  ]);
  expect(circle({ a: ["b", "c"], b: ["c"] })).toEqual([]);
});

test("a fallback of another mode is refused", () => {
  const values = {
    models: { a: far, e: { ...far, mode: "embedding" } },
    gateway: { routing: { contextWindowFallbacks: { a: ["e"] } } },
  };
  expect(mistakes(values)).toEqual([
    'gpubox:gateway.routing.contextWindowFallbacks.a: "a" serves chat and "e" serves embedding. Name a model of the same mode.',
  ]);
});

const model = (more: Record<string, unknown>, gateway = {}) =>
  mistakes({ models: { m: { ...far, ...more } }, gateway });
const price = { inputPerMillion: 1 };

test.each([
  [
    "an unknown strategy",
    () => mistakes({ gateway: { routing: { strategy: "least-bussy" } } }),
    'gpubox:gateway.routing.strategy: "least-bussy" is not valid. Did you mean "least-busy"?',
  ],
  [
    "a negative price",
    () => model({ price: { inputPerMillion: -1 } }),
    "gpubox:models.m.price.inputPerMillion: -1 is not valid. Write at least 0.",
  ],
  [
    "fewer tokens than requests",
    () => model({ rpm: 100, tpm: 10 }),
    "gpubox:models.m.tpm: 10 tokens a minute are fewer than its 100 requests, and a request has at least one. Raise tpm, or lower rpm.",
  ],
  [
    "more requests at a time than the gateway takes",
    () => model({ maxParallel: 9 }, { limits: { maxParallel: 5 } }),
    "gpubox:models.m.maxParallel: The whole gateway takes 5 requests at a time, so that 9 are never reached. Write at most 5, or raise gpubox:gateway.limits.maxParallel.",
  ],
  [
    "fewer requests at a time than gateways",
    () => model({ maxParallel: 1 }, { replicas: 2 }),
    "gpubox:models.m.maxParallel: 2 gateways share it, and each must get at least one. Write at least 2, or gpubox:gateway.replicas: 1.",
  ],
  [
    "a budget of a model that costs nothing",
    () => model({ budget: { usd: 1, per: "1d" } }),
    "gpubox:models.m.budget: Its requests cost nothing, so that the budget is never spent. Add a price: { inputPerMillion, outputPerMillion }, or remove the budget.",
  ],
  [
    "a budget for a time that is none",
    () => model({ price, budget: { usd: 1, per: "daily" } }),
    'gpubox:models.m.budget.per: "daily" is not valid. Write a number and s, m, h, d, w or mo, for example 1d or 1mo.',
  ],
  [
    "a budget of a provider that nobody uses",
    () => model({ price }, { limits: { providerBudgets: { hosted_vlm: { usd: 1, per: "1d" } } } }),
    'gpubox:gateway.limits.providerBudgets.hosted_vlm: No model is of the provider "hosted_vlm". Did you mean "hosted_vllm"?',
  ],
  [
    "a budget of a provider that costs nothing",
    () => model({}, { limits: { providerBudgets: { hosted_vllm: { usd: 1, per: "1d" } } } }),
    "gpubox:gateway.limits.providerBudgets.hosted_vllm: The requests to hosted_vllm cost nothing, so that the budget is never spent. Add a price to its models, or remove the budget.",
  ],
  [
    "a budget of the whole gateway without a database",
    () => mistakes({ database: { mode: "none" }, gateway: { limits: { budget: { usd: 1, per: "1d" } } } }),
    "gpubox:gateway.limits.budget: The spend of the whole gateway is counted in the database, and there is none. Write gpubox:database mode: bundled, or use providerBudgets, which Redis counts.",
  ],
  [
    "a stream that may be silent for longer than it may take",
    () => mistakes({ gateway: { routing: { timeoutSeconds: 60, streamTimeoutSeconds: 90 } } }),
    "gpubox:gateway.routing.streamTimeoutSeconds: A stream may be silent for longer than a request may take (60 s). Write at most 60, or raise timeoutSeconds.",
  ],
  [
    "failures that nothing counts",
    () => mistakes({ gateway: { routing: { cooldownSeconds: 0, allowedFails: 3 } } }),
    "gpubox:gateway.routing.allowedFails: Nothing cools down with cooldownSeconds: 0, however often it fails. Remove one of the two.",
  ],
  ...(
    [
      [-1, "-1 is not valid. Write at least 0."],
      [1.5, "1.5 is not valid. Write a whole number."],
      [604_801, "604801 is not valid. Write at most 604800."],
      ["1h", '"1h" is not valid. Write a number.'],
    ] as const
  ).map(([affinitySeconds, why]): [string, () => string[], string] => [
    `a conversation that stays for ${JSON.stringify(affinitySeconds)} seconds`,
    () => mistakes({ gateway: { routing: { affinitySeconds } } }),
    `gpubox:gateway.routing.affinitySeconds: ${why}`,
  ]),
  [
    "LiteLLM's own check of sessions beside gpubox's",
    () =>
      mistakes({
        gateway: {
          settings: { router: { optional_pre_call_checks: ["session_affinity", "prompt_caching"] } },
        },
      }),
    'gpubox:gateway.settings.router.optional_pre_call_checks: "session_affinity" would keep a conversation with an instance that fails; gpubox keeps it with one that answers. Remove it: gpubox:gateway.routing.affinitySeconds says for how long. Or write affinitySeconds: 0 to have LiteLLM\'s.',
  ],
  [
    "a choice of cached calls without a cache",
    () => mistakes({ cache: { calls: ["chat"] } }),
    "gpubox:cache.calls: It has no use: no answer is cached. Write ttlSeconds, or remove it.",
  ],
  [
    "answers in a Redis that is not there",
    () => mistakes({ cache: { mode: "none", ttlSeconds: 5 } }),
    "gpubox:cache.ttlSeconds: Answers cannot be cached without Redis. Remove ttlSeconds, or write mode: bundled, or type: local for each gateway's own memory.",
  ],
])("%s is refused with path and fix", (_, found, message) => {
  expect(found()).toEqual([message]);
});
