import fc from "fast-check";
import { parse } from "yaml";
import { goDuration } from "../../../components/Service";
import { hashOf, renderText, shellQuote, stableJson } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { connectionPool } from "../../../configs/litellm/pool";
import { servicesOf } from "../../../configs/plan/box";
import { modelPort } from "../../../configs/stack/instances";
import { composeFile } from "../../../operations/compose/composeFile";
import { recipes, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const spec = (plan: BoxPlan, name: string) =>
  servicesOf(plan).find((service) => service.container.name === name)?.container.labels["gpubox.spec"];

const litellm = (plan: BoxPlan) =>
  parse(renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets));

test("the same config gives the same plan", () => {
  expect(testPlan()).toEqual(testPlan());
});

test("no text of a plan holds a secret", () => {
  const plan = testPlan(
    {
      gateway: { auth: "none" },
      models: {
        ...tinyModel,
        far: { engine: "openai", baseUrl: "http://far/v1", apiKey: { secret: "farKey" } },
      },
    },
    { ...testSecrets, farKey: "PLANTED-far" },
  );
  expect(JSON.stringify(plan)).not.toContain("PLANTED");
  expect(composeFile(plan)).not.toContain("PLANTED");
});

test("LiteLLM, which reads YAML 1.1, reads the names and values that the stack config has", () => {
  const plan = testPlan({
    models: { off: { engine: "openai", baseUrl: "http://far/v1", model: "1:30" } },
  });
  const config = renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets);
  expect(parse(config, { version: "1.1" })).toEqual(parse(config));
  expect(parse(config).model_list).toEqual([
    expect.objectContaining({
      model_name: "off",
      litellm_params: expect.objectContaining({ model: "hosted_vllm/1:30" }),
    }),
  ]);
});

test("adding a model replaces the gateway and no other container", () => {
  const before = testPlan();
  const after = testPlan({ models: { ...tinyModel, far: { engine: "openai", baseUrl: "http://far/v1" } } });
  const changed = servicesOf(before)
    .map((service) => service.container.name)
    .filter((name) => spec(before, name) !== spec(after, name));
  expect(changed).toEqual(["gateway"]);
  expect(after.gateway.generation).not.toBe(before.gateway.generation);
  expect(after.gateway.modelHashes.tiny).toBe(before.gateway.modelHashes.tiny);
});

test("a flag of one backend replaces that backend and the gateway's proof of it, nothing else", () => {
  const before = testPlan();
  const after = testPlan({ models: { tiny: { ...tinyModel.tiny, ctxSize: 8192 } } });
  const changed = servicesOf(before)
    .map((service) => service.container.name)
    .filter((name) => spec(before, name) !== spec(after, name));
  expect(changed).toEqual(["backend-tiny", "gateway"]);
});

test("another master key is another generation, and touches no store", () => {
  const before = testPlan();
  const after = testPlan(undefined, { ...testSecrets, masterKey: "sk-PLANTED-other-0123456789abcdef" });
  expect(after.gateway.generation).not.toBe(before.gateway.generation);
  expect(spec(after, "cache")).toBe(spec(before, "cache"));
  expect(spec(after, "database")).toBe(spec(before, "database"));
  expect(spec(after, "edge")).toBe(spec(before, "edge"));
});

test("an allowed host changes the edge's files and not its container, so that it is reloaded", () => {
  const before = testPlan();
  const after = testPlan({ gateway: { hosts: ["framework"] }, models: tinyModel });
  expect(after.edge.directory.hash).not.toBe(before.edge.directory.hash);
  expect(spec(after, "edge")).toBe(spec(before, "edge"));
});

test("a local model is reached through its valve, natively on both protocols", () => {
  expect(litellm(testPlan()).model_list).toEqual([
    {
      model_name: "tiny",
      litellm_params: {
        model: "hosted_vllm/tiny",
        api_base: `http://valve-tiny:${modelPort("tiny")}/v1`,
        api_key: "os.environ/GPUBOX_BACKEND_KEY",
        timeout: 600,
        cooldown_time: 0,
        num_retries: 0,
      },
      model_info: {
        id: "tiny",
        cooldown_time: 0,
        mode: "chat",
        supported_endpoints: ["/v1/chat/completions", "/v1/messages"],
        max_input_tokens: 2048,
      },
    },
  ]);
});

test("a gateway without a database has no URL of one", () => {
  const plan = testPlan({ models: tinyModel, database: { mode: "none" } });
  expect([plan.gateway.usesDatabase, plan.database, plan.notes]).toEqual([false, undefined, []]);
  expect(renderText(plan.gateway.directory.files["gateway.env"]!.text, testSecrets)).not.toContain(
    "DATABASE",
  );
});

test.each(["recipe", "digest"] as const)(
  "a gateway whose image came as %s uses the bundled database with a percent-encoded password",
  (source) => {
    const gateway = { reference: "litellm@sha256:0", source };
    const plan = testPlan(undefined, testSecrets, {
      ...recipes,
      images: { ...recipes.images, gateway },
    });
    expect([plan.gateway.usesDatabase, plan.notes]).toEqual([true, []]);
    expect(renderText(plan.gateway.directory.files["gateway.env"]!.text, testSecrets)).toContain(
      "DATABASE_URL='postgresql://litellm:PLANTED-database-%27%22%5C%24x%40%2F%3A%25@database:5432/litellm'\n",
    );
  },
);

test("a used-up budget answers 402 where there is a database, unless the config says otherwise", () => {
  const status = (more: Record<string, unknown>) =>
    litellm(testPlan({ models: tinyModel, ...more })).litellm_settings.budget_exceeded_status_code;
  expect(status({})).toBe(402);
  expect(status({ database: { mode: "none" } })).toBeUndefined();
  expect(status({ gateway: { settings: { litellm: { budget_exceeded_status_code: 429 } } } })).toBe(429);
});

test("answers are cached only when a ttl is set", () => {
  expect(litellm(testPlan()).litellm_settings.cache).toBeUndefined();
  const cached = litellm(testPlan({ cache: { ttlSeconds: 60 }, models: tinyModel }));
  expect(cached.litellm_settings.cache_params).toMatchObject({ type: "redis", ttl: 60 });
});

test("every container that is read-only and unprivileged has a limit, a grace period and a real health check", () => {
  for (const { container } of servicesOf(testPlan())) {
    expect(container.memoryMiB).toBeGreaterThanOrEqual(16);
    expect(container.stopGraceSeconds).toBeGreaterThan(0);
    expect(container.health.test.length).toBeGreaterThan(1);
  }
});

test("a gateway's grace period is longer than its drain timeout", () => {
  const { container } = testPlan({ gateway: { drainTimeout: 1200 } }).gateway;
  expect(container.stopGraceSeconds).toBeGreaterThan(1200);
  expect(container.env.GRACEFUL_SHUTDOWN_TIMEOUT).toBe("1200");
});

test("any secret survives quoting for a shell, and none breaks out of it", () => {
  fc.assert(
    fc.property(fc.string(), (word) => {
      const quoted = shellQuote(word);
      expect(quoted.slice(1, -1).replaceAll("'\\''", "").includes("'")).toBe(false);
      expect(quoted.slice(1, -1).replaceAll("'\\''", "'")).toBe(word);
    }),
  );
});

test("a hash depends on values and not on the order of keys", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (record) => {
      const turned = Object.fromEntries(Object.entries(record).reverse());
      expect(stableJson(turned)).toBe(stableJson(record));
      expect(hashOf(turned)).toBe(hashOf(record));
    }),
  );
});

test.each([
  [0, "0s"],
  [5, "5s"],
  [60, "1m0s"],
  [300, "5m0s"],
  [3661, "1h1m1s"],
])("%i seconds are written %s, as Go reads them back", (seconds, text) => {
  expect(goDuration(seconds)).toBe(text);
});

test("the order of models in the file does not change the gateway", () => {
  const far = { engine: "openai", baseUrl: "http://far/v1" };
  const one = testPlan({ models: { tiny: tinyModel.tiny, far } });
  const other = testPlan({ models: { far, tiny: tinyModel.tiny } });
  expect(one.gateway.generation).toBe(other.gateway.generation);
});

test.each([
  [1, 10],
  [4, 10],
  [8, 5],
])("two generations of %i gateways stay below four fifths of Postgres' connections", (replicas, pool) => {
  expect(connectionPool(replicas)).toBe(pool);
  expect(2 * replicas * pool).toBeLessThanOrEqual(80);
});

test("secrets go into these files and into no other configuration", () => {
  const withSecrets = servicesOf(testPlan()).flatMap(({ container, directory }) =>
    Object.entries(directory.files)
      .filter(([, file]) => file.text.some((part) => typeof part !== "string"))
      .map(([name]) => `${container.name}/${name}`),
  );
  expect(withSecrets.sort()).toEqual([
    "backend-tiny/api-key",
    "cache/password",
    "cache/redis.conf",
    "database/password",
    "edge/keys.map",
    "gateway/gateway.env",
  ]);
});

test("no two models of a large box share a port, so that none can answer for another", () => {
  const names = Array.from({ length: 40 }, (_, i) => `model-${i}`);
  expect(new Set(names.map(modelPort)).size).toBe(names.length);
});

test("a model that people start is created but not started, and its valve says at once how to start it", () => {
  const plan = testPlan({ models: { tiny: { ...tinyModel.tiny, start: "manual" } } });
  const { service, valve } = plan.backends[0]!;
  const config = valve.directory.files["haproxy.cfg"]!.text.join("");
  expect(service.container.started).toBe(false);
  expect(valve.container.started).toBe(true);
  expect(config).toContain("it is started by hand, with `gpubox model start tiny --stack test`");
  expect(config).toContain("lua.hold model 0");
});
