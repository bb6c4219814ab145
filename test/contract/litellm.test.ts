import { parse } from "yaml";
import known from "../../configs/litellm/keys.json";
import { renderText } from "../../configs/plan/text";
import { everyImage } from "../support/engines";
import { testPlan, testSecrets, tinyModel } from "../support/stacks";

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
    { cache: { ttlSeconds: 60 }, models: { tiny: { ...tinyModel.tiny, rpm: 1, tpm: 2 } } },
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
  const rendered = config(values);
  const deployments = rendered.model_list;
  const used = {
    litellm_settings: Object.keys(rendered.litellm_settings),
    router_settings: Object.keys(rendered.router_settings),
    general_settings: Object.keys(rendered.general_settings),
    litellm_params: deployments.flatMap(({ litellm_params }) => Object.keys(litellm_params)),
    model_info: deployments.flatMap(({ model_info }) => Object.keys(model_info)),
  };
  const unknown = Object.entries(used).flatMap(([section, keys]) =>
    keys
      .filter((key) => !known[section as keyof typeof used].includes(key))
      .map((key) => `${section}.${key}`),
  );
  expect(unknown).toEqual([]);
});

test("a key that LiteLLM does not read is not among the known ones", () => {
  expect(known.litellm_settings).not.toContain("cache_kwargs");
  expect(known.general_settings).not.toContain("rate_limit_config");
  expect(known.router_settings).toContain("fallbacks");
});
