import { ConfigError, type Problem } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { rawStack, testSecrets } from "../../support/stacks";

const secrets = {
  ...testSecrets,
  farKey: "far-0123456789abcdefgh",
  hook: "https://hooks.example/x",
  grafanaPassword: "grafana-0123456789",
  ciKey: "sk-ci-0123456789abcdef",
};

/** A config without mistakes in which many parts refer to others. */
const good: Record<string, unknown> = {
  host: {
    docker: "ssh://ops@gpu1.example",
    identityFile: "/home/ops/.ssh/id",
    gpus: [
      { id: 0, memoryGiB: 24, vendor: "nvidia" },
      { id: 1, memoryGiB: 24, vendor: "nvidia" },
    ],
  },
  gateway: {
    ...{ bind: "10.0.0.5", hosts: ["framework"], replicas: 2 },
    routing: { timeoutSeconds: 800, streamTimeoutSeconds: 700, fallbacks: { far: ["tiny", "chat"] } },
    limits: { maxParallel: 64, providerBudgets: { groq: { usd: 5, per: "1d" } } },
    settings: { litellm: { default_fallbacks: ["tiny"] } },
  },
  cache: { ttlSeconds: 60, calls: ["chat"], optIn: true },
  observability: { mode: "bundled", alerts: { webhook: { secret: "hook" } } },
  access: {
    teams: { eval: { models: ["tiny", "far"] } },
    keys: {
      ci: { key: { secret: "ciKey" }, team: "eval", models: ["far"], budgetUsd: 5, budgetDuration: "1d" },
    },
  },
  jobs: { eval: { upstream: { box: "small" }, port: 4101 } },
  models: {
    tiny: {
      ...{ engine: "llamacpp", model: "file:///srv/models/tiny.gguf", aliases: ["small", "chat"] },
      gpu: { devices: [0, 1], memoryGiB: 4 },
    },
    far: { engine: "openai", baseUrl: "http://far:8000/v1", apiKey: { secret: "farKey" } },
    groq: { engine: "cloud", model: "groq/x", apiKey: { secret: "farKey" } },
  },
};

function problemsOf(values: Record<string, unknown>): Problem[] {
  try {
    parseStack(rawStack(values, secrets));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

type Path = (string | number)[];

/** The paths of every value, objects and lists too. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  const below = Object.entries(value).flatMap(([key, inner]) =>
    pathsOf(inner, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? below : [path, ...below];
}

function withValue(path: Path, value: unknown): Record<string, unknown> {
  const copy = structuredClone(good);
  const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], copy);
  (parent as Record<string | number, unknown>)[path.at(-1)!] = value;
  return copy;
}

function textOf(path: Path): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === "number" ? `${text}[${key}]` : text === "" ? `gpubox:${key}` : `${text}.${key}`,
    "",
  );
}

test("the config without mistakes has none", () => {
  expect(problemsOf(good)).toEqual([]);
});

test("a value of no possible type is one mistake, wherever it stands and whatever goes by it", () => {
  const more = pathsOf(good).flatMap((path) =>
    // A section without a value is one without keys.
    [[[1]], -0.5, ...(path.length > 1 ? [null] : [])].flatMap((bad) => {
      const at = textOf(path);
      const elsewhere = problemsOf(withValue(path, bad))
        .filter(({ path: found }) => !found.startsWith(at) && !at.startsWith(found))
        .map((problem) => `${problem.path}: ${problem.what}`);
      return elsewhere.length > 0 ? [[at, bad, elsewhere]] : [];
    }),
  );
  expect(more).toEqual([]);
});

test.each(["tiny", "far", "groq"])(
  "an unknown key in the model %s is one mistake, whatever names it",
  (name) => {
    const models = good.models as Record<string, object>;
    const broken = { ...good, models: { ...models, [name]: { ...models[name], colour: "blue" } } };
    expect(problemsOf(broken).map(({ path }) => path)).toEqual([`gpubox:models.${name}.colour`]);
  },
);

test("a model that no entry declares is told beside one that cannot be read", () => {
  const models = { ...(good.models as object), tiny: { engine: "lamacpp" } };
  const gateway = { ...(good.gateway as object), routing: { fallbacks: { far: ["tiny"], groq: ["gone"] } } };
  expect(
    problemsOf({ ...good, models, gateway, access: {}, jobs: {} }).map(
      ({ path, what }) => `${path}: ${what}`,
    ),
  ).toEqual([
    'gpubox:models.tiny.engine: There is no engine "lamacpp".',
    'gpubox:gateway.routing.fallbacks.groq: It names the model "gone", which is not declared.',
  ]);
});

test("a misspelt section is one mistake, and models that it would have declared are not called undeclared", () => {
  const { models, ...rest } = good;
  expect(problemsOf({ ...rest, modles: models }).map(({ path }) => path)).toEqual(["gpubox:modles"]);
});

test.each([
  [{ models: { m: { engine: "vllm", modle: "file:///srv/m/m" } } }, "models.m.modle", "model"],
  [{ host: { gpus: [{ id: 0, memory: 24 }] } }, "host.gpus[0].memory", "memoryGiB"],
  [{ host: { gpus: [{ index: 0, memoryGiB: 24 }] } }, "host.gpus[0].index", "id"],
  [{ gateway: { passThrough: { "/x": { url: "http://h" } } } }, "gateway.passThrough./x.url", "target"],
])("a key in place of one that is missing is one mistake: %j", (values, path, meant) => {
  const fix = `Did you mean "${meant}"?`;
  const far = { far: { engine: "openai", baseUrl: "http://far/v1" } };
  expect(problemsOf({ models: far, ...values })).toEqual([
    { path: `gpubox:${path}`, what: `"${path.replace(/^.*\./, "")}" is no setting here.`, fix },
  ]);
});

test("a key that is none and another one that is missing are two", () => {
  expect(problemsOf({ models: { m: { engine: "vllm", wholly: 1 } } })).toHaveLength(2);
});
