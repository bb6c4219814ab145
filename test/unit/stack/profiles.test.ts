import { parse } from "yaml";
import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { modelPorts } from "../../../configs/stack/ports";
import type { Profile } from "../../../configs/stack/profiles";
import { planRemoteGateway } from "../../../operations/gatewayConfig/remoteGateway";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { rawStack, recipes, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const secrets = {
  ...testSecrets,
  azureApiKey: "PLANTED-azure",
  direct: "sk-PLANTED-direct",
  far: "sk-PLANTED-far",
  lfPublic: "pk-PLANTED-langfuse",
  lfKey: "sk-PLANTED-langfuse",
};
const gpt = {
  engine: "cloud",
  model: "azure/gpt-5-mini",
  apiKey: { secret: "azureApiKey" },
  apiBase: "https://x.openai.azure.com",
  apiVersion: "2024-06-01",
};
const far = { engine: "openai", baseUrl: "http://far:1/v1" };
const publicUrl = "https://llama.example.com/v1";

function elsewhere(values: Record<string, unknown>, profile: Profile = "stateless") {
  const config = parseStack(rawStack(values, secrets));
  const plan = planRemoteGateway({ config, resolved: recipes, assets: loadAssets(packageDir) }, profile);
  const read: {
    model_list: { model_name: string; litellm_params: Record<string, unknown> }[];
    litellm_settings: Record<string, unknown>;
    router_settings: Record<string, unknown>;
    general_settings: Record<string, unknown>;
  } = parse(plan.config);
  return { ...plan, read, names: read.model_list.map((one) => one.model_name) };
}

function mistakes(entry: Record<string, unknown>): string[] {
  try {
    parseStack(rawStack({ models: { m: entry } }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((p) => `${p.path}: ${p.what} ${p.fix}`);
  }
}

test("one entry is in the stateless gateway and not in the box, which has a database", () => {
  const models = {
    gpt,
    "llama-local": { engine: "openai", baseUrl: publicUrl, profiles: { stateful: false } },
  };
  expect(testPlan({ models }, secrets).models).toEqual(["gpt"]);
  expect(elsewhere({ models }).names).toEqual(["gpt", "llama-local"]);
  expect(elsewhere({ models }, "stateful")).toMatchObject({
    names: ["gpt"],
    leftOut: { "llama-local": "profiles.stateful is false" },
  });
  const box = testPlan({ models, database: { mode: "none" } }, secrets);
  expect(box.models).toEqual(["gpt", "llama-local"]);
});

test("a model that the box does not have takes none of its GPUs", () => {
  const big = { ...tinyModel.tiny, gpu: { devices: [0], memoryGiB: 20 } };
  const values = { host: { gpus: [{ id: 0, memoryGiB: 24 }] }, models: { a: big, b: big } };
  const parsed = (models: object) => parseStack({ ...rawStack({ ...values, models }), lock: {} });
  expect(() => parsed(values.models)).toThrow("24");
  expect(() => parsed({ a: big, b: { ...big, profiles: { stateful: false } } })).not.toThrow();
});

test("the ports that models publish are checked before `up`, each with its key", () => {
  const expose = { port: 9000, key: { secret: "direct" } };
  const instances = [{ expose }, { expose: { ...expose, port: 9001 } }];
  const { models } = parseStack(rawStack({ models: { m: { ...tinyModel.tiny, instances } } }, secrets));
  expect(modelPorts({ models })).toEqual([
    { bind: "127.0.0.1", port: 9000, key: "gpubox:models.m.instances[0].expose.port" },
    { bind: "127.0.0.1", port: 9001, key: "gpubox:models.m.instances[1].expose.port" },
  ]);
});

describe("traces and logs of a gateway on another machine", () => {
  const external = {
    host: "https://l.example",
    publicKey: { secret: "lfPublic" },
    secretKey: { secret: "lfKey" },
  };
  test("a Langfuse that others reach gets them, with its variables", () => {
    const { read, env } = elsewhere({ models: { gpt }, observability: { langfuse: external } });
    expect(read.litellm_settings.callbacks).toEqual(["langfuse_otel"]);
    expect(env).toContain("\n# pulumi config get gpubox:lfKey\nLANGFUSE_SECRET_KEY=\n");
    expect(env).toContain("\nLANGFUSE_OTEL_HOST=https://l.example\n");
  });

  test("the trajectory log stays on the box, and a note says so", () => {
    const { read, env, notes } = elsewhere({ models: { gpt }, gateway: { trajectories: true } });
    expect(read.litellm_settings).not.toHaveProperty("callbacks");
    expect(env).not.toContain("LANGFUSE");
    expect(notes).toContain("It keeps no trajectory log; the box does.");
  });
});

test("a model's profile for another machine makes no new gateway on the box", () => {
  const generation = (profiles?: object) =>
    testPlan({ models: { tiny: { ...tinyModel.tiny, profiles } } }).gateway.generation;
  expect(generation({ stateless: { baseUrl: publicUrl } })).toBe(generation());
});

test("another machine reaches a model of the box by the URL of its profile, under the same names", () => {
  const profiles = { stateless: { baseUrl: publicUrl, apiKey: { secret: "far" } } };
  const { read, env } = elsewhere({ models: { tiny: { ...tinyModel.tiny, aliases: ["t"], profiles } } });
  expect(read.model_list[0]!.litellm_params).toMatchObject({
    model: "hosted_vllm/tiny",
    api_base: publicUrl,
    api_key: "os.environ/GPUBOX_SECRET_far",
  });
  expect(read.router_settings.model_group_alias).toEqual({ t: "tiny" });
  expect(env).toContain("\nGPUBOX_SECRET_far=\n");
});

test("it reaches a model with a published port by that port, with the port's key", () => {
  const expose = { port: 9000, bind: "100.64.0.7", key: { secret: "direct" } };
  const { read } = elsewhere({ models: { tiny: { ...tinyModel.tiny, expose } } });
  expect(read.model_list[0]!.litellm_params).toMatchObject({
    api_base: "http://100.64.0.7:9000/v1",
    api_key: "os.environ/GPUBOX_SECRET_direct",
  });
  const everywhere = elsewhere({
    gateway: { bind: "0.0.0.0", hosts: ["box.tailnet.ts.net"] },
    models: { tiny: { ...tinyModel.tiny, expose: { ...expose, bind: "0.0.0.0" } } },
  });
  expect(everywhere.read.model_list[0]!.litellm_params.api_base).toBe("http://box.tailnet.ts.net:9000/v1");
});

test("a model that nobody else reaches is left out by name, and is nobody's fallback", () => {
  const { names, leftOut, read } = elsewhere({
    gateway: { routing: { fallbacks: { gpt: ["tiny", "other"], tiny: ["other"] } } },
    models: {
      gpt,
      other: gpt,
      tiny: tinyModel.tiny,
      near: { engine: "openai", baseUrl: "http://host.docker.internal:8000/v1" },
      loop: { ...tinyModel.tiny, expose: { port: 9000, key: { secret: "direct" } } },
    },
  });
  expect(names).toEqual(["gpt", "other"]);
  expect(Object.keys(leftOut).sort()).toEqual(["loop", "near", "tiny"]);
  expect(read.router_settings.fallbacks).toEqual([{ gpt: ["other"] }]);
});

test("a stateless gateway has neither database nor Redis, a stateful one has both", () => {
  const values = {
    cache: { ttlSeconds: 60 },
    gateway: { limits: { budget: { usd: 5, per: "1d" } } },
    models: { gpt },
  };
  const stateless = elsewhere(values);
  expect(stateless.read.general_settings).toEqual({
    master_key: "os.environ/LITELLM_MASTER_KEY",
    store_model_in_db: false,
    cancel_on_disconnect: true,
    disable_model_info_refresh: true,
  });
  expect(stateless.read.litellm_settings.cache_params).toEqual({ type: "local", ttl: 60 });
  expect(stateless.read.litellm_settings).not.toHaveProperty("max_budget");
  expect(stateless.env).not.toMatch(/DATABASE|REDIS|SALT/);
  const stateful = elsewhere(values, "stateful");
  expect(stateful.read.general_settings).toMatchObject({ database_url: "os.environ/DATABASE_URL" });
  expect(stateful.read.litellm_settings).toMatchObject({ max_budget: 5, cache_params: { type: "redis" } });
  expect(stateful.env).toMatch(/\nLITELLM_SALT_KEY=\nDATABASE_URL=\nREDIS_HOST=\n/);
});

test("the template names every variable that the config reads, and no value of a secret", () => {
  const env = { A_KEY: { secret: "far" }, PLAIN: "yes" };
  for (const profile of ["stateless", "stateful"] as const) {
    const plan = elsewhere({ cache: { ttlSeconds: 1 }, gateway: { env }, models: { gpt } }, profile);
    const named = [...plan.config.matchAll(/os\.environ\/(\w+)/g)].map(([, name]) => name);
    const offered = [...plan.env.matchAll(/^(\w+)=/gm)].map(([, name]) => name);
    expect(offered).toEqual(expect.arrayContaining([...named, "A_KEY", "PLAIN"]));
    expect(plan.env).toMatch(/\nA_KEY=\n/);
    expect(plan.env).toContain("\nPLAIN=yes\n");
    expect(plan.config + plan.env).not.toContain("PLANTED");
  }
});

test.each([
  [
    { ...far, profiles: { stateful: false, stateless: false } },
    "gpubox:models.m.profiles: No gateway would serve this model. Let one of the two be true, or remove the model.",
  ],
  [
    { ...far, profiles: { stateless: { baseUrl: "https://x.example.com" } } },
    'gpubox:models.m.profiles.stateless.baseUrl: "https://x.example.com" does not end in /v1. Write https://x.example.com/v1.',
  ],
  [
    { ...gpt, apiKey: "none", profiles: { stateless: { baseUrl: publicUrl } } },
    "gpubox:models.m.profiles.stateless.baseUrl: Every gateway reaches a provider at the same address. Write stateless: true or false.",
  ],
  [
    { ...far, profiles: { serverless: true } },
    'gpubox:models.m.profiles.serverless: "serverless" is no setting here. Use one of: stateful, stateless.',
  ],
])("%j is refused", (entry, message) => {
  expect(mistakes(entry)).toEqual([message]);
});
