import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { ConfigError } from "../../../../configs/kit/problems";
import { renderText } from "../../../../configs/kit/text";
import { parseStack } from "../../../../configs/parse";
import type { Profile } from "../../../../configs/stack/profiles";
import { planRemoteGateway } from "../../../../operations/gatewayConfig/remoteGateway";
import { packageDir } from "../../../../platform/project";
import { loadAssets } from "../../../../platform/stack/assets";
import { imported } from "../../../support/imported";
import { runs } from "../../../support/runs";
import { rawStack, recipes, testPlan, testSecrets } from "../../../support/stacks";

/** A value for each secret that a stack names. */
function secretsOf(values: Record<string, unknown>): Record<string, string> {
  const named = [...JSON.stringify(values).matchAll(/"secret":"(\w+)"/g)].map(([, name]) => name!);
  return {
    ...testSecrets,
    ...Object.fromEntries(named.map((name) => [name, `sk-value-of-${name}-0123456789`])),
  };
}

function exported(values: Record<string, unknown>, profile: Profile): string {
  const config = parseStack(rawStack(values, secretsOf(values)));
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

/** What a stack's gateway is planned to do: its config, and what its guard lets through. */
function planned(values: Record<string, unknown>) {
  const secrets = secretsOf(values);
  const { gateway, models } = testPlan(values, secrets);
  const { "config.yaml": config, "guard.json": guard } = gateway.directory.files;
  return {
    models: [...models].sort(),
    config: parse(renderText(config!.text, secrets)),
    guard: JSON.parse(renderText(guard!.text, secrets)),
  };
}

const NAMES = ["m", "n.1", "org/x:7b", "a-b", "m@q4", "c[1m]"];
const name = fc.constantFrom(...NAMES);
const secret = fc.constantFrom("one", "two", "three").map((secret) => ({ secret }));
const count = fc.integer({ min: 1, max: 900 });
const usd = fc.integer({ min: 1, max: 9 });
const per = fc.constantFrom("1h", "1d", "30d");
const optional = <Shape extends Record<string, fc.Arbitrary<unknown>>>(shape: Shape) =>
  fc.record(shape, { requiredKeys: [] });

/** What entries and instances may both say. */
const limits = {
  ...{ rpm: count, tpm: count.map((tokens) => tokens * 1000), maxParallel: count },
  price: fc.record({ inputPerMillion: usd, outputPerMillion: usd }, { requiredKeys: ["inputPerMillion"] }),
  params: optional({
    ...{ temperature: fc.constantFrom(0, 0.25, 1), top_p: fc.constantFrom(0.5, 1), max_tokens: count },
    extra_body: fc.constantFrom({ a: { b: [1] } }, { chat_template_kwargs: { enable_thinking: false } }),
    extra_headers: fc.record({ "x-team": fc.constantFrom("red", "blue") }),
    ...{ organization: secret, merge_reasoning_content_in_choices: fc.boolean() },
  }).filter((params) => Object.keys(params).length > 0),
};
const shared = {
  ...limits,
  ...{ timeoutSeconds: count, tags: fc.uniqueArray(fc.constantFrom("x", "y"), { minLength: 1 }) },
  budget: fc.record({ usd, per }),
  info: fc.record({ supports_vision: fc.boolean() }),
  aliases: fc.constant([]),
};

const server = fc
  .tuple(
    optional({
      ...shared,
      model: fc.constantFrom("served", "org/served", "served:4b"),
      provider: fc.constantFrom("hosted_vllm", "openai", "ollama_chat"),
      apiKey: fc.oneof(secret, fc.constant("none")),
      mode: fc.constantFrom("chat", "completion", "embedding", "rerank"),
      messages: fc.constantFrom("native", "translated"),
      contextLength: count,
    }),
    fc.array(optional({ ...limits, weight: usd }), { maxLength: 3 }),
    fc.constantFrom("http", "https"),
  )
  .map(([more, instances, scheme]) => {
    const at = (place: number) => ({ baseUrl: `${scheme}://h${place}.example:8000/v1` });
    return instances.length < 2
      ? { engine: "openai", ...at(0), ...more }
      : { engine: "openai", ...more, instances: instances.map((one, place) => ({ ...at(place), ...one })) };
  });
const provided = fc
  .tuple(fc.constantFrom("groq/a", "deepseek/b", "mistral/c"), secret, optional(shared))
  .map(([model, apiKey, more]) => ({ engine: "cloud", model, apiKey, ...more }));

/** What an export holds and the box sets again. */
const OF_THE_BOX = /^(gpubox sets it by itself|it is empty|the box has a (Redis|database) of its own;.*)$/;

/** As the stateless profile has it: no store, and answers in the gateway's own memory. */
function withoutStores({ cache, ...values }: Record<string, unknown>): Record<string, unknown> {
  const local = "ttlSeconds" in (cache as Entry) ? { ...(cache as Entry), type: "local" } : {};
  return { ...values, database: { mode: "none" }, cache: { ...local, mode: "none" } };
}

type Entry = Record<string, unknown>;

/** What refers to models, of these alone. */
function gatewayOf(models: Record<string, Entry>) {
  const names = Object.keys(models);
  const fallbacks = fc.subarray(names, { minLength: 1 }).chain((from) => {
    const others = from.map((one) => names.slice(names.indexOf(one) + 1));
    return fc
      .tuple(...others.map((some) => fc.subarray(some)))
      .map((to) =>
        Object.fromEntries(from.flatMap((one, place) => (to[place]!.length > 0 ? [[one, to[place]]] : []))),
      );
  });
  const groq = Object.values(models).some(({ model }) => model === "groq/a");
  return optional({
    routing: optional({
      strategy: fc.constantFrom("simple-shuffle", "least-busy", "usage-based-routing-v2"),
      ...{ retries: fc.integer({ min: 0, max: 3 }), cooldownSeconds: count, timeoutSeconds: count },
      ...{ preCallChecks: fc.boolean(), fallbacks },
    }),
    dropParams: fc.boolean(),
    ...(groq && { limits: fc.record({ providerBudgets: fc.record({ groq: fc.record({ usd, per }) }) }) }),
    settings: optional({
      litellm: fc.constant({ callbacks: ["prometheus"] }),
      general: fc.constant({ alert_types: ["llm_exceptions"] }),
    }),
  });
}

const cached = optional({
  ...{ optIn: fc.boolean(), namespace: fc.constantFrom("a", "b.c") },
  calls: fc.subarray(["chat", "embedding", "rerank"], { minLength: 1 }),
});
const cache = fc.oneof(
  fc.constant({}),
  fc.tuple(count, cached).map(([ttlSeconds, more]) => ({ ttlSeconds, ...more })),
);

/** Without what gpubox refuses: a budget of what costs nothing, and keys that a server's own /v1/messages would not get. */
function sensible({ budget, messages, ...entry }: Entry): Entry {
  const passed = JSON.stringify(entry).includes("extra_body") ? {} : { messages };
  return {
    ...entry,
    ...(messages === undefined ? {} : passed),
    ...(budget && entry.price ? { budget } : {}),
  };
}

const stack = fc
  .dictionary(name, fc.oneof(server, provided) as fc.Arbitrary<Entry>, { minKeys: 1, maxKeys: 4 })
  .map(
    (models): Record<string, Entry> =>
      Object.fromEntries(
        Object.entries(models).map(([one, entry], place) => [
          one,
          sensible(entry.aliases ? { ...entry, aliases: [`alias.${place}`, `org/alias:${place}`] } : entry),
        ]),
      ),
  )
  .chain((models) => fc.record({ models: fc.constant(models), gateway: gatewayOf(models), cache }))
  .map((values) => values as Record<string, unknown>);

test.each(["stateless", "stateful"] as const)(
  "whatever a stack of servers elsewhere says, exported as %s and imported it makes the same plan",
  async (profile) => {
    let tried = 0;
    await fc.assert(
      fc.asyncProperty(stack, async (values) => {
        let before: string;
        try {
          before = exported(values, profile);
        } catch (error) {
          // Not every mixture of keys is a stack.
          if (error instanceof ConfigError) return;
          throw error;
        }
        tried++;
        const { values: back, untold } = await imported({ "config.yaml": before });
        expect(untold.filter(({ why }) => !OF_THE_BOX.test(why))).toEqual([]);
        const { port: _, ...gateway } = back.gateway ?? {};
        expect(planned({ ...back, gateway })).toEqual(
          planned(profile === "stateless" ? withoutStores(values) : values),
        );
      }),
      { ...runs(15), includeErrorInReport: true },
    );
    expect(tried).toBeGreaterThan(5);
  },
);
