import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { parseStack } from "../../../../configs/parse";
import type { Profile } from "../../../../configs/stack/profiles";
import { planRemoteGateway } from "../../../../operations/gatewayConfig/remoteGateway";
import { packageDir } from "../../../../platform/project";
import { loadAssets } from "../../../../platform/stack/assets";
import { imported } from "../../../support/imported";
import { rawStack, recipes, testSecrets } from "../../../support/stacks";

function exported(values: Record<string, unknown>, profile: Profile): string {
  const named = [...JSON.stringify(values).matchAll(/"secret":"(\w+)"/g)].map(([, name]) => name!);
  const secrets = Object.fromEntries(named.map((name) => [name, `sk-value-of-${name}-0123456789`]));
  const config = parseStack(rawStack(values, { ...testSecrets, ...secrets }));
  return planRemoteGateway({ config, resolved: recipes, assets: loadAssets(packageDir) }, profile).config;
}

/** A stack file's sections, without the prefix of their keys. */
function sectionsOf(file: string): Record<string, unknown> {
  const { config } = parse(readFileSync(join(packageDir, file), "utf8")) as { config: object };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace("gpubox:", ""), value]),
  );
}

const cloud = { engine: "cloud", model: "groq/a", apiKey: { secret: "a" } };
const far = { engine: "openai", baseUrl: "https://far.example.com/v1", apiKey: { secret: "farKey" } };

const stacks: Record<string, Record<string, unknown>> = {
  "the reference box": sectionsOf("Pulumi.box.yaml"),
  "two servers of one name, a weight and limits": {
    gateway: { routing: { strategy: "least-busy", retries: 1, cooldownSeconds: 9 } },
    models: {
      m: {
        ...{
          ...cloud,
          aliases: ["n", "o.p"],
          params: { temperature: 0.5, extra_body: { a: { b: 1 } } },
          price: { inputPerMillion: 0.15 },
        },
        instances: [
          { name: "eu", apiKey: { secret: "a" }, weight: 2, rpm: 60, maxParallel: 4 },
          { name: "us", apiKey: { secret: "b" }, weight: 1, tpm: 1000, params: { top_p: 0.9 } },
        ],
      },
    },
  },
  "fallbacks, a cache, prefixes and modes": {
    gateway: {
      routing: { fallbacks: { m: ["f"] }, timeoutSeconds: 120, preCallChecks: true },
      dropParams: false,
      limits: { providerBudgets: { groq: { usd: 3, per: "1d" } } },
      settings: { litellm: { callbacks: ["prometheus"] }, general: { alerting: ["slack"] } },
      env: { SLACK_WEBHOOK_URL: { secret: "slackWebhookUrl" } },
    },
    cache: { ttlSeconds: 60, calls: ["chat", "embedding"], optIn: true },
    models: {
      m: { ...far, messages: "native", contextLength: 8192, timeoutSeconds: 30 },
      f: { ...far, provider: "ollama_chat", model: "q:8b", tags: ["x"] },
      e: {
        ...far,
        mode: "embedding",
        provider: "infinity",
        budget: { usd: 5, per: "1d" },
        price: { inputPerMillion: 1 },
      },
      g: {
        ...cloud,
        info: { supports_vision: true, max_tokens: 9 },
        params: { organization: { secret: "org" } },
      },
    },
  },
};

describe.each(Object.entries(stacks))("%s", (_, values) => {
  test.each(["stateless", "stateful"] as const)(
    "exported as %s and imported, it exports the same again",
    async (profile) => {
      const before = exported(values, profile);
      const { values: back } = await imported({ "config.yaml": before });
      expect(parse(exported(back, profile))).toEqual(parse(before));
    },
  );
});
