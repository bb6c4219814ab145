import fc from "fast-check";
import { ConfigError } from "../../../configs/kit/problems";
import { CALLBACK_LISTS, CALLBACK_VARIABLES } from "../../../configs/litellm/callbacks";
import known from "../../../configs/litellm/keys.json";
import { OWNED_VARIABLES } from "../../../configs/litellm/owned";
import { pointers } from "../../../configs/litellm/pointers";
import { STEERING } from "../../../configs/litellm/steering";
import { parseStack } from "../../../configs/parse";
import { checkTemplate } from "../../../operations/jobs/template";
import { runs } from "../../support/runs";
import { rawStack, tinyModel } from "../../support/stacks";

/** The paths of what a stack config is refused for. */
function refused(values: Record<string, unknown>): string[] {
  try {
    parseStack(rawStack({ models: tinyModel, ...values }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path }) => path);
  }
}

const SECTIONS = ["litellm", "router", "general"] as const;
const section = fc.constantFrom(...SECTIONS);

/** A value below some levels of maps and lists, and the path of it. */
const levels = fc.array(fc.constantFrom("inner", "Some_key", 0 as const), { maxLength: 4 });
function nested(value: unknown, path: (string | 0)[]): unknown {
  return path.reduceRight<unknown>((inner, key) => (key === 0 ? [inner] : { [key]: inner }), value);
}

describe("a setting that steers the gateway past its router", () => {
  const STEERING_KEYS = STEERING.flatMap(({ keys }) => keys);
  /** The value with which it steers: `true`, but where it switches a check off. */
  const steers = (key: string) => key.toLowerCase() !== "user_url_validation";
  const anyCase = (text: string) =>
    fc
      .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
      .map((upper) => [...text].map((c, index) => (upper[index] ? c.toUpperCase() : c)).join(""));

  test("is refused in every section, at any depth, in any case", () => {
    fc.assert(
      fc.property(section, fc.constantFrom(...STEERING_KEYS).chain(anyCase), levels, (name, key, path) => {
        const value = steers(key);
        const settings = { [name]: { model_group_settings: nested({ [key]: value }, path) } };
        const found = refused({ gateway: { settings } });
        expect(found).toContainEqual(
          expect.stringMatching(`^gpubox:gateway\\.settings\\.${name}\\.model_group_settings.*\\.${key}$`),
        );
      }),
      runs(60),
    );
  });

  test.each(SECTIONS)("is refused as a key of %s itself", (name) => {
    const open = STEERING_KEYS.filter((key) => {
      const value = steers(key);
      const path = `gpubox:gateway.settings.${name}.${key}`;
      return !refused({ gateway: { settings: { [name]: { [key]: value } } } }).includes(path);
    });
    expect(open).toEqual([]);
  });

  test("is refused as a variable of the gateway and of a job", () => {
    const upstream = { baseUrl: "http://far.example/v1", model: "m" };
    const open = STEERING_KEYS.flatMap((key) => {
      const variable = key.toUpperCase();
      const env = { [variable]: String(steers(key)) };
      const found = refused({ gateway: { env }, jobs: { eval: { upstream, port: 4101, extra: env } } });
      const places = [`gpubox:gateway.env.${variable}`, `gpubox:jobs.eval.extra.${variable}`];
      return places.filter((place) => !found.includes(place));
    });
    expect(open).toEqual([]);
  });

  test("is refused in a job's template", () => {
    const open = STEERING_KEYS.filter((key) => {
      const value = steers(key);
      const path = `x.general_settings.${key}`;
      return !checkTemplate({ general_settings: { [key]: value } }, "x").some((one) => one.path === path);
    });
    expect(open).toEqual([]);
  });

  test.each([
    ["general", { allow_client_side_credentials: false, user_url_validation: true }],
    ["litellm", { user_url_allowed_hosts: [], user_url_validation: true }],
    ["router", { default_litellm_params: { configurable_clientside_auth_params: [] } }],
  ])("passes in %s where it steers nothing", (name, values) => {
    expect(refused({ gateway: { settings: { [name]: values } } })).toEqual([]);
  });
});

test.each([
  ...[
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "BASH_ENV",
    "LITELLM_CONFIG_BUCKET_NAME",
  ],
  ...["OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "GROQ_API_BASE", "AZURE_API_BASE"],
])("the variable %s is refused: it leads the gateway to other code or another address", (name) => {
  expect(refused({ gateway: { env: { [name]: "x" } } })).toEqual([`gpubox:gateway.env.${name}`]);
});

describe("a reference to a gateway's variable instead of a text", () => {
  const pointer = fc.oneof(
    fc.constantFrom("os.environ/LITELLM_MASTER_KEY", "Bearer os.environ/DATABASE_URL", " OS.Environ/X"),
    fc
      .tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }))
      .map((ends) => ends.join("os.environ/")),
    fc.constantFrom("oidc/file//run/secrets/x", "oidc/env/LITELLM_MASTER_KEY"),
  );

  test("is refused in every section of LiteLLM's settings, at any depth", () => {
    fc.assert(
      fc.property(section, pointer, levels, (name, text, path) => {
        const settings = { [name]: { model_group_settings: nested({ deep: text }, path) } };
        expect(refused({ gateway: { settings } })).toContainEqual(
          expect.stringMatching(`^gpubox:gateway\\.settings\\.${name}\\.model_group_settings.*\\.deep$`),
        );
      }),
      runs(60),
    );
  });

  test("is refused at every place of the config that accepts a text", () => {
    const text = "os.environ/LITELLM_MASTER_KEY";
    const far = { engine: "openai", baseUrl: "http://far.example/v1", model: text };
    const cloud = {
      engine: "cloud",
      model: `groq/${text}`,
      apiKey: "none",
      apiVersion: text,
      baseModel: text,
    };
    const upstream = { baseUrl: "http://far.example/v1", model: text };
    const found = refused({
      models: { far, cloud, tagged: { ...far, model: "m", tags: [text] } },
      gateway: { env: { LANGFUSE_HOST: text } },
      jobs: { eval: { upstream, port: 4101, extra: { MODE: text } } },
    });
    expect(found).toEqual(
      expect.arrayContaining([
        ...["gpubox:models.far.model", "gpubox:models.cloud.model", "gpubox:models.cloud.apiVersion"],
        ...[
          "gpubox:models.cloud.baseModel",
          "gpubox:models.tagged.tags[0]",
          "gpubox:gateway.env.LANGFUSE_HOST",
        ],
        ...["gpubox:jobs.eval.upstream.model", "gpubox:jobs.eval.extra.MODE"],
      ]),
    );
  });

  test("is refused in a job's template, also as a name", () => {
    const template = { router_settings: { routing_strategy_args: { "os.environ/X": 1 } } };
    expect(checkTemplate(template, "x").map(({ path }) => path)).toEqual([
      "x.router_settings.routing_strategy_args",
    ]);
  });

  test("is not confused with a text that only resembles one", () => {
    expect(pointers(["environ/X", "os.environ", "a/oidc/b", "the os environ"], "x")).toEqual([]);
  });
});

describe("a callback", () => {
  const code = fc.oneof(
    fc.constantFrom(
      "os.system",
      "subprocess.run",
      "s3://bucket/module.fn",
      "custom_callbacks.handler",
      "langfuse.x",
    ),
    fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !known.callbacks.includes(text)),
    fc.constantFrom<unknown>(7, true, {}, ["langfuse"]),
  );

  test("that LiteLLM does not have is refused in every list, alone or among others", () => {
    fc.assert(
      fc.property(fc.constantFrom(...CALLBACK_LISTS), code, fc.boolean(), (list, callback, alone) => {
        fc.pre(callback !== "prometheus_system");
        const value = alone && !Array.isArray(callback) ? callback : ["prometheus", callback];
        const path = `gpubox:gateway.settings.litellm.${list}${Array.isArray(value) ? "[1]" : ""}`;
        expect(refused({ gateway: { settings: { litellm: { [list]: value } } } })).toContain(path);
        const template = { litellm_settings: { [list]: value } };
        expect(checkTemplate(template, "x").map((one) => one.path)).toContain(
          path.replace("gpubox:gateway.settings.litellm", "x.litellm_settings"),
        );
      }),
    );
  });

  test("that LiteLLM has passes, including all those whose variables are checked", () => {
    const own = known.callbacks.filter((name) => !Object.hasOwn(CALLBACK_VARIABLES, name));
    expect(refused({ gateway: { settings: { litellm: { success_callback: own } } } })).toEqual([]);
    expect(Object.keys(CALLBACK_VARIABLES).filter((name) => !known.callbacks.includes(name))).toEqual([]);
  });
});

test("gpubox sets no variable that it would refuse for its address", () => {
  const both = Object.keys(OWNED_VARIABLES).filter((name) => known.address_variables.includes(name));
  expect(both).toEqual([]);
});
