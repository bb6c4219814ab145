import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { saltFingerprint, secretFacts } from "../../../configs/secrets/facts";
import { rawStack, testSecrets, tinyModel } from "../../support/stacks";

/** `path: what fix` of every mistake, sorted. */
function mistakes(values: Record<string, unknown>, secrets = testSecrets): string[] {
  try {
    parseStack(rawStack(values, secrets));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((p) => `${p.path}: ${p.what} ${p.fix}`).sort();
  }
}

test("an empty stack config is a box with every default and no model", () => {
  const config = parseStack(rawStack());
  expect(config.gateway).toEqual({
    port: 4000,
    bind: "127.0.0.1",
    hosts: [],
    auth: "key",
    joinNetworks: { upstreams: [], clients: [] },
    replicas: 1,
    drainTimeout: 900,
    memoryMiB: 4096,
    routing: {
      strategy: "simple-shuffle",
      timeoutSeconds: 600,
      affinitySeconds: 3600,
      fallbacks: {},
      contextWindowFallbacks: {},
      contentPolicyFallbacks: {},
      preCallChecks: false,
      tagFiltering: false,
    },
    limits: { enforce: true, maxBodyMiB: {}, providerBudgets: {} },
    dropParams: true,
    allowParameters: [],
    logs: { json: true, level: "ERROR" },
    env: {},
    modules: {},
    guardrails: {},
    passThrough: {},
    trajectories: false,
    settings: { litellm: {}, router: {}, general: {} },
  });
  expect(config.host).toEqual({
    docker: "unix:///var/run/docker.sock",
    dataDir: "/srv/gpubox",
    arch: "amd64",
    modelHub: "https://huggingface.co",
    gpus: [],
    gpuGroups: [],
    openToContainers: [],
  });
  expect(config.cache.mode).toBe("bundled");
  expect(config.database.mode).toBe("bundled");
  expect(config.models).toEqual({});
});

test("every mistake of a config is reported at once, each with its path and what would be right", () => {
  expect(
    mistakes({
      gatewy: { port: 1 },
      gateway: { prot: 4000, bind: "10.0.0.5", auth: "none", drainTimeout: "long" },
      models: {
        a: { engine: "lamacpp", model: "canned" },
        b: { engine: "vllm", model: "x" },
        c: { engine: "openai", baseUrl: "http://localhost:8000/v1" },
        d: { engine: "llamacpp", model: "canned", ctxsize: 1 },
        e: {},
      },
    }),
  ).toEqual([
    "gpubox:gateway.auth: Without keys, everybody who reaches 10.0.0.5 could use the models. Write auth: key, or bind: 127.0.0.1.",
    'gpubox:gateway.drainTimeout: "long" is not valid. Write a number.',
    'gpubox:gateway.prot: "prot" is no setting here. Did you mean "port"?',
    'gpubox:gatewy: "gatewy" is no section of a stack config. Did you mean "gpubox:gateway"?',
    'gpubox:models.a.engine: There is no engine "lamacpp". Did you mean "llamacpp"?',
    'gpubox:models.b.model: "x" is not valid. Write hf://owner/repo[@revision][/file], or file:///path/on/the/host.',
    "gpubox:models.c.baseUrl: localhost is the gateway container's own loopback, not the host's. Let the server listen on the Docker bridge and write http://host.docker.internal:8000/v1.",
    'gpubox:models.d.ctxsize: "ctxsize" is no setting here. Did you mean "ctxSize"?',
    "gpubox:models.e.engine: The entry names no engine. Write engine: llamacpp or vllm or sglang or tensorrt-llm or ollama or text-embeddings-inference or speaches or container or openai or cloud.",
  ]);
});

test("without keys the gateway may only listen on loopback", () => {
  expect(mistakes({ gateway: { auth: "none", bind: "10.0.0.5" } })).toEqual([
    "gpubox:gateway.auth: Without keys, everybody who reaches 10.0.0.5 could use the models. Write auth: key, or bind: 127.0.0.1.",
  ]);
  expect(mistakes({ gateway: { auth: "none" } })).toEqual([]);
});

test("names and aliases that clash are refused at the later one", () => {
  expect(
    mistakes({
      models: {
        Tiny: { ...tinyModel.tiny, aliases: ["small", "other"] },
        tiny: { ...tinyModel.tiny, aliases: ["small"] },
        other: tinyModel.tiny,
      },
    }),
  ).toEqual([
    'gpubox:models.Tiny.aliases[1]: "other" is taken by gpubox:models.other. Choose another alias; each name leads to one model.',
    'gpubox:models.tiny.aliases[0]: "small" is taken by gpubox:models.Tiny.aliases[0]. Choose another alias; each name leads to one model.',
    'gpubox:models.tiny: Its container would have the same name as that of "Tiny". Rename one so that they differ in more than upper case and punctuation.',
  ]);
});

test("ports that clash are refused", () => {
  expect(mistakes({ gateway: { port: 4000, adminPort: 4000 } })).toEqual([
    "gpubox:gateway.adminPort: The admin port 4000 is the clients' port. Give it a free port of its own, for example 4001.",
  ]);
  expect(mistakes({ gateway: { port: 65535 } })).toEqual([
    "gpubox:gateway.adminPort: The admin port 65536 does not exist. Give it a free port of its own, for example 4001.",
  ]);
});

test("a secret that is missing is reported with the command that sets it", () => {
  const { masterKey, saltKey } = testSecrets as { masterKey: string; saltKey: string };
  expect(
    mistakes(
      {
        database: { mode: "external", url: { secret: "databaseUrl" } },
        models: { m: { engine: "cloud", model: "groq/x", apiKey: { secret: "groqKey" } } },
      },
      { masterKey, saltKey },
    ),
  ).toEqual([
    "gpubox:cache: The secret cachePassword is missing. Set it: pulumi config set --secret gpubox:cachePassword or let `gpubox up` make it.",
    "gpubox:database.url: The secret databaseUrl is missing. Set it: pulumi config set --secret gpubox:databaseUrl.",
    "gpubox:models.m.apiKey: The secret groqKey is missing. Set it: pulumi config set --secret gpubox:groqKey.",
  ]);
});

test("a salt key that equals the master key is refused", () => {
  expect(mistakes({}, { ...testSecrets, saltKey: testSecrets.masterKey! })).toEqual([
    "gpubox:saltKey: The salt key equals the master key, so that the master key could never be rotated. Set a value of its own before the first `up`: pulumi config set --secret gpubox:saltKey.",
  ]);
});

test("a weak master key is refused without showing it", () => {
  const found = mistakes({}, { ...testSecrets, masterKey: "sk-1234" });
  expect(found).toEqual([
    "gpubox:masterKey: The secret is shorter than 20 characters. Set another value: pulumi config set --secret gpubox:masterKey.",
  ]);
});

test("a secret in plaintext is refused without showing it", () => {
  const raw = rawStack({ masterKey: testSecrets.masterKey });
  raw.secrets = secretFacts(testSecrets, (name) => name !== "masterKey");
  expect(() => parseStack(raw)).toThrow(
    "Pulumi.test.yaml has 1 mistake:\n  gpubox:masterKey: The secret stands in plaintext. Set it anew: pulumi config set --secret gpubox:masterKey.",
  );
});

test("a cloud model needs its key or the word none", () => {
  const cloud = (rest: object) => ({ models: { m: { engine: "cloud", model: "groq/llama-4", ...rest } } });
  expect(mistakes(cloud({ apiKey: "none" }))).toEqual([]);
  expect(mistakes(cloud({}))).toEqual([
    "gpubox:models.m.apiKey: It is missing. Write { secret: <name of a secret> }, or none where the server wants no key.",
  ]);
});

test.each([
  ["ftp://x/v1", '"ftp://x/v1" is not an http or https URL. Write it whole, for example http://x/v1.'],
  [
    "http://127.0.0.1:8000/v1",
    "127.0.0.1 is the gateway container's own loopback, not the host's. Let the server listen on the Docker bridge and write http://host.docker.internal:8000/v1.",
  ],
  [
    "http://[::1]:8000/v1",
    "[::1] is the gateway container's own loopback, not the host's. Let the server listen on the Docker bridge and write http://host.docker.internal:8000/v1.",
  ],
  ["http://box:8000", '"http://box:8000" does not end in /v1. Write http://box:8000/v1.'],
  [
    "http://me:pw@box:8000/v1",
    "The URL carries credentials, which would be stored in plaintext. Put the key into a secret and name it in `apiKey: { secret: … }`.",
  ],
])("the baseUrl %s is refused", (baseUrl, message) => {
  expect(mistakes({ models: { m: { engine: "openai", baseUrl } } })).toEqual([
    `gpubox:models.m.baseUrl: ${message}`,
  ]);
});

test("a LiteLLM setting that gpubox owns is refused with what to use instead", () => {
  expect(
    mistakes({ gateway: { settings: { general: { master_key: "x" }, router: { retry_after: 3 } } } }),
  ).toEqual([
    "gpubox:gateway.settings.general.master_key: master_key is set by gpubox. Use the secret gpubox:masterKey.",
  ]);
});

test("several gateways without Redis are refused", () => {
  expect(mistakes({ gateway: { replicas: 2 }, cache: { mode: "none" } })).toEqual([
    "gpubox:gateway.replicas: Several gateways need Redis: without it each counts limits and failures for itself. Write gpubox:cache mode: bundled, or replicas: 1.",
  ]);
});

test("another salt key than the one that the config remembers is refused", () => {
  const raw = rawStack({ saltFingerprint: saltFingerprint("sk-the-salt-key-of-the-first-day") });
  raw.saltFingerprint = saltFingerprint(testSecrets.saltKey!);
  expect(() => parseStack(raw)).toThrow(
    "gpubox:saltKey: The salt key is not the one that this stack began with, and what it encrypted could not be read any more.",
  );
  raw.values.saltFingerprint = raw.saltFingerprint;
  expect(() => parseStack(raw)).not.toThrow();
});

test("a mistake in a section does not hide another one there", () => {
  expect(mistakes({ gateway: { prot: 1, auth: "none", bind: "10.0.0.5" } })).toEqual([
    "gpubox:gateway.auth: Without keys, everybody who reaches 10.0.0.5 could use the models. Write auth: key, or bind: 127.0.0.1.",
    'gpubox:gateway.prot: "prot" is no setting here. Did you mean "port"?',
  ]);
});

test("a section that a nested secret hides is refused, and not taken for an empty one", () => {
  expect(mistakes({}, { ...testSecrets, models: "{}" })).toContain(
    "gpubox:models: A value inside this section is encrypted, which hides the whole section from the plan. Set the secret at the top, pulumi config set --secret gpubox:someKey, and name it here: { secret: someKey }.",
  );
});

test("removing a model that another names as its fallback is refused", () => {
  const gateway = {
    routing: { fallbacks: { tiny: ["big"] } },
    settings: { router: { default_fallbacks: ["tiny", "big"] } },
  };
  expect(mistakes({ gateway, models: tinyModel })).toEqual([
    'gpubox:gateway.routing.fallbacks.tiny: It names the model "big", which is not declared. Use one of: tiny.',
    'gpubox:gateway.settings.router.default_fallbacks: It names the model "big", which is not declared. Use one of: tiny.',
  ]);
});

test("a pool that two generations could not have at once is refused", () => {
  const settings = { general: { database_connection_pool_limit: 21 } };
  expect(mistakes({ gateway: { replicas: 2, settings } })).toEqual([
    "gpubox:gateway.settings.general.database_connection_pool_limit: 2 generations of 2 gateways with 21 connections each are more than Postgres takes. Write at most 20, or leave it out.",
  ]);
});
