import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { knownIn } from "../../configs/checks/settings";
import { renderText } from "../../configs/kit/text";
import { DANGERS } from "../../configs/litellm/dangers";
import { IGNORED_KEYS } from "../../configs/litellm/ignoredKeys";
import known from "../../configs/litellm/keys.json";
import { OWNED_SETTINGS } from "../../configs/litellm/owned";
import { STEERING } from "../../configs/litellm/steering";
import { parseStack } from "../../configs/parse";
import { planContext } from "../../configs/plan/box";
import { CONFIG_FILE, planJob } from "../../operations/jobs/plan";
import { packageDir } from "../../platform/project";
import { loadAssets } from "../../platform/stack/assets";
import { everyImage } from "../support/engines";
import { rawStack, testPlan, testSecrets, tinyModel } from "../support/stacks";

interface GatewayConfig {
  model_list: { litellm_params: object; model_info: object }[];
  litellm_settings: object;
  router_settings: object;
  general_settings: object;
}

function config(values: Record<string, unknown>): GatewayConfig {
  const { text } = testPlan(values, testSecrets, everyImage).gateway.directory.files["config.yaml"]!;
  return parse(renderText(text, testSecrets));
}

test.each([
  ["a local model", { models: tinyModel }],
  ["a model on demand", { models: { tiny: { ...tinyModel.tiny, start: "ondemand" } } }],
  [
    "a cache of answers and limits",
    {
      cache: { ttlSeconds: 60, optIn: true, calls: ["chat"] },
      gateway: {
        routing: {
          retries: 1,
          streamTimeoutSeconds: 5,
          cooldownSeconds: 1,
          allowedFails: 1,
          fallbacks: { tiny: ["other"] },
          contextWindowFallbacks: { tiny: ["other"] },
          contentPolicyFallbacks: { tiny: ["other"] },
          preCallChecks: true,
          tagFiltering: true,
        },
        limits: {
          maxParallel: 9,
          budget: { usd: 1, per: "1d" },
          providerBudgets: { hosted_vllm: { usd: 1, per: "1d" } },
        },
      },
      models: {
        tiny: { ...tinyModel.tiny, rpm: 1, tpm: 2, maxParallel: 3, tags: ["a"] },
        other: {
          engine: "openai",
          baseUrl: "http://far:8000/v1",
          price: { inputPerMillion: 1 },
          budget: { usd: 1, per: "1d" },
        },
      },
    },
  ],
  [
    "a provider",
    {
      models: {
        gpt: {
          engine: "cloud",
          model: "azure/gpt-5-mini",
          apiKey: "none",
          apiBase: "https://example.openai.azure.com",
          apiVersion: "2025-01-01",
        },
      },
    },
  ],
])("every key of the gateway's configuration for %s is one that LiteLLM reads", (_, values) => {
  expect(unreadKeys(config(values))).toEqual([]);
});

test("every key of a job's configuration is one that LiteLLM reads", () => {
  const job = {
    upstream: { baseUrl: "http://far:8000/v1", model: "m", apiKey: "dummy-cf", messages: "native" },
    ...{ port: 4101, aliases: ["n"], stickyRoutingAliases: ["m@a"], price: { inputPerMillion: 1 } },
  };
  const raw = rawStack({ models: tinyModel, jobs: { eval: job } });
  const parsed = parseStack(raw);
  const context = planContext({
    ...{ config: parsed, secrets: raw.secrets, saltFingerprint: "", resolved: everyImage },
    assets: loadAssets(packageDir),
  });
  const run = { name: "eval", job: parsed.jobs.eval!, folder: "/eval", path: "gpubox:jobs.eval" };
  const { text } = planJob(context, run).files[CONFIG_FILE]!;
  expect(unreadKeys(parse(renderText(text, testSecrets)))).toEqual([]);
});

/** What a configuration says that LiteLLM would take without a word and not look at. */
function unreadKeys(rendered: GatewayConfig): string[] {
  const deployments = rendered.model_list;
  const used = {
    litellm_settings: Object.keys(rendered.litellm_settings),
    router_settings: Object.keys(rendered.router_settings),
    general_settings: Object.keys(rendered.general_settings),
    litellm_params: deployments.flatMap(({ litellm_params }) => Object.keys(litellm_params)),
    model_info: deployments.flatMap(({ model_info }) => Object.keys(model_info)),
  };
  // The router looks for it by its name, in what may hold any key.
  const anywhere = ["model_info.cooldown_time"];
  return Object.entries(used).flatMap(([section, keys]) =>
    keys
      .filter((key) => !known[section as keyof typeof used].includes(key))
      .filter((key) => !anywhere.includes(`${section}.${key}`))
      .map((key) => `${section}.${key}`),
  );
}

test("every setting that gpubox sets or refuses for its danger is one that LiteLLM reads", () => {
  // What LiteLLM takes by another name than a field: it imports this one, and the flag is of its command.
  const elsewhere = ["litellm.set_verbose", "general.max_requests_before_restart"];
  // Of the routing and of Redis, each section reads a part.
  const shared = Object.keys(OWNED_SETTINGS.litellm).filter((key) =>
    Object.hasOwn(OWNED_SETTINGS.router, key),
  );
  const named = [
    ...(["litellm", "router", "general"] as const).flatMap((section) =>
      Object.keys(OWNED_SETTINGS[section])
        .filter((key) => !shared.includes(key))
        .map((key) => [section, key] as const),
    ),
    ...DANGERS.flatMap(({ section, key }) => (section === "env" ? [] : [[section, key] as const])),
  ];
  const unread = named
    .filter(([section, key]) => !knownIn(section).includes(key))
    .map((one) => one.join("."));
  expect(unread.filter((one) => !elsewhere.includes(one))).toEqual([]);
  const both = [...knownIn("litellm"), ...knownIn("router")];
  expect(shared.filter((key) => !both.includes(key) && key !== "set_verbose")).toEqual([]);
});

test("every setting that is refused because it steers is one that LiteLLM reads", () => {
  const read = [
    ...[...knownIn("litellm"), ...knownIn("router"), ...knownIn("general")],
    ...known.litellm_params,
    ...known.address_variables.map((name) => name.toLowerCase()),
    // Keys inside of values: of litellm_jwtauth, custom_provider_map, key_management_settings and an auto router.
    ...["custom_validate", "custom_handler", "custom_secret_manager", "classifier_plugin"],
    // A variable; its name counts in lower case here.
    "use_litellm_proxy",
  ];
  const unread = STEERING.flatMap(({ keys }) => keys).filter((key) => !read.includes(key));
  expect(unread).toEqual([]);
});

test("a dead key is one that LiteLLM does not read, or says why not", () => {
  const read = IGNORED_KEYS.flatMap(({ sections, key }) =>
    sections.flatMap((section) =>
      section !== "env" && knownIn(section).includes(key) ? [`${section}.${key}`] : [],
    ),
  );
  expect(read).toEqual(["general.max_parallel_requests", "general.global_max_parallel_requests"]);
});

test("the keys are those of the release that the gateway's image is built from", () => {
  const requirements = readFileSync(join(__dirname, "../../images/gateway/requirements.in"), "utf8");
  expect(requirements).toContain(`litellm[proxy]==${known.version}\n`);
});

test("a key that LiteLLM does not read is not among the known ones", () => {
  expect(known.litellm_settings).not.toContain("cache_kwargs");
  expect(known.general_settings).not.toContain("rate_limit_config");
  expect(known.router_settings).toContain("fallbacks");
});
