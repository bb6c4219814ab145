import { parse } from "yaml";
import type { BoxFiles } from "../../configs/boxes/files";
import { parseStack } from "../../configs/parse";
import { planBox } from "../../configs/plan/box";
import { ConfigError } from "../../configs/problems";
import { loadAssets } from "../../runner/assets";
import { defaultProjectDir } from "../../runner/project";
import { rawStack, recipes, testSecrets, tinyModel } from "../support/stacks";

const secrets = {
  ...testSecrets,
  gpu2Key: "sk-PLANTED-gpu2-0123456789",
  gpu3Key: "sk-PLANTED-gpu3-0123456789",
};
const reachable = { bind: "100.64.0.2", hosts: ["gpu2.tailnet.ts.net"] };
const coder = {
  ...{ engine: "vllm", model: "hf://Qwen/Qwen3-Coder-30B", maxModelLen: 32_768, aliases: ["local"] },
  gpu: { devices: [0], memoryGiB: 20 },
};
const far = { engine: "openai", baseUrl: "http://10.0.0.9/v1" };
const gpu2 = { host: { gpus: [{ id: 0, memoryGiB: 48 }] }, gateway: reachable, models: { coder } };
const gpu3 = { ...gpu2, gateway: { bind: "100.64.0.3", port: 4100 } };
const key = { secret: "gpu2Key" };
const key3 = { secret: "gpu3Key" };

type Values = Record<string, unknown>;

/** Stack files by name; none of them has secrets. */
function files(values: Record<string, Values>): BoxFiles {
  const read = Object.entries(values).map(([stack, own]) => [stack, { values: own, secrets: [] }]);
  return Object.fromEntries(read);
}

/** The config of a stack that is called gw. */
function config(values: Values, boxFiles: BoxFiles) {
  return parseStack({ ...rawStack(values, secrets), stack: "gw", boxFiles });
}

/** What its gateways' config.yaml says of the models. */
function deployments(values: Values, boxFiles: BoxFiles) {
  const plan = planBox({
    config: config(values, boxFiles),
    secrets: rawStack({}, secrets).secrets,
    saltFingerprint: "",
    resolved: recipes,
    assets: loadAssets(defaultProjectDir),
  });
  expect(plan.backends).toEqual([]);
  const [text] = plan.gateway.directory.files["config.yaml"]!.text;
  return parse(text as string).model_list as {
    model_name: string;
    litellm_params: Values;
    model_info: Values;
  }[];
}

/** `path: what fix` of every mistake. */
function mistakes(values: Values, boxFiles: BoxFiles): string[] {
  try {
    config(values, boxFiles);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

describe("a gateway stack", () => {
  test("serves what the other box's file says, in three lines", () => {
    expect(deployments({ boxes: { gpu2: { key } } }, files({ gpu2 }))).toEqual([
      {
        model_name: "coder",
        litellm_params: {
          model: "hosted_vllm/coder",
          api_base: "http://100.64.0.2:4000/v1",
          api_key: "os.environ/GPUBOX_SECRET_gpu2Key",
          // 30 s more than the other gateway, whose answer is the better one.
          timeout: 630,
          cooldown_time: 0,
        },
        model_info: {
          id: "coder-gpu2",
          mode: "chat",
          // The other gateway speaks both protocols.
          supported_endpoints: ["/v1/chat/completions", "/v1/messages"],
          max_input_tokens: 32_768,
        },
      },
    ]);
    expect(config({ boxes: { gpu2: { key } } }, files({ gpu2 })).models.coder?.aliases).toEqual(["local"]);
  });

  test("spreads a name that two boxes have over both, each with its key, weight and order", () => {
    const boxes = { gpu3: { key: key3, weight: 1 }, gpu2: { key, weight: 3, order: 1 } };
    const two = deployments({ boxes }, files({ gpu2, gpu3 }));
    expect(
      two.map(({ model_name, litellm_params, model_info }) => [model_name, model_info.id, litellm_params]),
    ).toEqual([
      [
        "coder",
        "coder-gpu2",
        {
          ...{ model: "hosted_vllm/coder", api_base: "http://100.64.0.2:4000/v1" },
          ...{ api_key: "os.environ/GPUBOX_SECRET_gpu2Key", timeout: 630, weight: 3, order: 1 },
        },
      ],
      [
        "coder",
        "coder-gpu3",
        {
          ...{ model: "hosted_vllm/coder", api_base: "http://100.64.0.3:4100/v1" },
          ...{ api_key: "os.environ/GPUBOX_SECRET_gpu3Key", timeout: 630, weight: 1 },
        },
      ],
    ]);
  });

  test("has models of its own beside them", () => {
    const { models } = config({ models: tinyModel, boxes: { gpu2: { key } } }, files({ gpu2 }));
    expect(Object.entries(models).map(([name, { engine }]) => [name, engine])).toEqual([
      ["coder", "openai"],
      ["tiny", "llamacpp"],
    ]);
  });

  test("takes the models that it names, and no aliases where it says so", () => {
    const models = { coder, far };
    const boxes = { a: { stack: "gpu2", key, models: ["coder"], aliases: false } };
    const own = config({ boxes }, files({ gpu2: { ...gpu2, models } })).models;
    expect(Object.keys(own)).toEqual(["coder"]);
    expect(own.coder?.aliases).toEqual([]);
  });

  test("serves a model by whatever name, as long as it is one", () => {
    const models = { constructor: far, "Qwen/Qwen3:8b": far };
    const ids = deployments({ boxes: { gpu2: { key } } }, files({ gpu2: { ...gpu2, models } }));
    expect(ids.map(({ model_name, model_info }) => [model_name, model_info.id])).toEqual([
      ["Qwen/Qwen3:8b", "Qwen/Qwen3:8b-gpu2"],
      ["constructor", "constructor-gpu2"],
    ]);
  });

  test("serves what that box has of its own boxes", () => {
    const middle = { gateway: { bind: "100.64.0.4" }, boxes: { gpu3: { key } } };
    const [only] = deployments({ boxes: { middle: { key } } }, files({ middle, gpu3 }));
    expect([only?.litellm_params.api_base, only?.litellm_params.timeout]).toEqual([
      "http://100.64.0.4:4000/v1",
      660,
    ]);
  });
});

describe("of a box's model", () => {
  const entry = (model: Values, more: Values = {}, lock = {}) =>
    parseStack({
      ...rawStack({ boxes: { gpu2: { key } } }, secrets),
      boxFiles: files({ gpu2: { ...gpu2, ...more, models: { m: model } } }),
      lock,
    }).models;

  test("the mode decides by which prefix LiteLLM asks for it", () => {
    const asked = (mode: string) => entry({ ...far, mode }).m;
    expect(asked("embedding")).toMatchObject({ mode: "embedding", provider: "hosted_vllm" });
    expect(asked("rerank")).toMatchObject({ mode: "rerank", provider: "hosted_vllm" });
    expect(asked("audio_speech")).toMatchObject({ mode: "audio_speech", provider: "openai" });
    expect(asked("embedding")).toMatchObject({ messages: "translated" });
  });

  test.each([
    [{ ...far, start: "manual" }, "manual"],
    // Loading it for a proof would put another one out.
    [{ ...tinyModel.tiny, start: "ondemand" }, "manual"],
    [far, "auto"],
  ])("%j is known as started: %s", (own, start) => {
    expect(entry(own).m?.start).toBe(start);
  });

  test("the price goes with it; a provider's model is looked up by the provider's name", () => {
    const price = { inputPerMillion: 1, outputPerMillion: 2 };
    expect(entry({ ...far, price }).m).toMatchObject({ price });
    const cloud = { engine: "cloud", model: "groq/x", apiKey: "none" };
    expect(entry(cloud).m).toMatchObject({ baseModel: "groq/x" });
    expect(entry({ ...cloud, baseModel: "groq/y" }).m).toMatchObject({ baseModel: "groq/y" });
  });

  test("its own limits stay that box's", () => {
    const m = entry({ ...far, rpm: 5, tpm: 10, maxParallel: 2, tags: ["a"] }).m;
    expect([m?.rpm, m?.tpm, m?.maxParallel, m?.tags]).toEqual([undefined, undefined, undefined, undefined]);
  });

  test.each([
    [{ timeoutSeconds: 60 }, {}, 90],
    [{}, { gateway: { ...reachable, routing: { timeoutSeconds: 100 } } }, 130],
    [{ timeoutSeconds: 900 }, {}, 900],
  ])("a timeout of %j with %j is one of %s here", (own, more, seconds) => {
    expect(entry({ ...far, ...own }, more).m?.timeoutSeconds).toBe(seconds);
  });

  test("adapters are models of their own", () => {
    const loraModules = { sql: "hf://me/sql-lora" };
    const models = entry({ ...coder, loraModules });
    expect(Object.entries(models).map(([name, { aliases }]) => [name, aliases])).toEqual([
      ["m", ["local"]],
      ["sql", []],
    ]);
  });

  test("what that box leaves out is left out", () => {
    expect(entry({ ...far, profiles: { stateful: false } })).toEqual({});
    const optional = { engine: "cloud", model: "groq/x", apiKey: { secret: "groqKey" }, optional: true };
    expect(entry(optional)).toEqual({});
    const boxFiles = { gpu2: { values: { ...gpu2, models: { optional } }, secrets: ["groqKey"] } };
    expect(Object.keys(config({ boxes: { gpu2: { key } } }, boxFiles).models)).toEqual(["optional"]);
  });
});

describe("a box is reached", () => {
  const base = (gateway: Values, box: Values = {}) =>
    deployments({ boxes: { gpu2: { key, ...box } } }, files({ gpu2: { ...gpu2, gateway } }))[0]
      ?.litellm_params.api_base;

  test.each([
    ["at the address that it listens on", reachable, {}, "http://100.64.0.2:4000/v1"],
    ["at an IPv6 address", { bind: "fd7a::2" }, {}, "http://[fd7a::2]:4000/v1"],
    [
      "by its first name where it listens on all",
      { bind: "0.0.0.0", hosts: ["localhost", "gpu2"], port: 80 },
      {},
      "http://gpu2:80/v1",
    ],
    [
      "by the certificate's name with TLS",
      { ...reachable, port: 443, tls: { certificate: "/etc/c.pem", key: "/etc/k.pem" } },
      {},
      "https://gpu2.tailnet.ts.net/v1",
    ],
    ["where its entry says", { hosts: ["GPU2.lan"] }, { url: "https://gpu2.lan/" }, "https://gpu2.lan/v1"],
    [
      "by its name on a network that it joined",
      { joinNetworks: { clients: ["shared"] } },
      { url: "http://gpubox-gpu2-edge:4000" },
      "http://gpubox-gpu2-edge:4000/v1",
    ],
  ])("%s", (_, gateway, box, url) => expect(base(gateway, box)).toBe(url));
});

describe("refused with the key of the user's file:", () => {
  const box = (more: Values = {}) => ({ boxes: { gpu2: { key, ...more } } });
  const at = (gateway: Values) => files({ gpu2: { ...gpu2, gateway } });
  test.each<[string, Values, BoxFiles, string[]]>([
    [
      "a box that only its own host reaches",
      box(),
      at({}),
      [
        "gpubox:boxes.gpu2: That box listens on its own loopback only: gpubox:gateway.bind is 127.0.0.1 in Pulumi.gpu2.yaml. Write an address there that this host reaches, its names into gateway.hosts, and run `npm run up` for it; or write here the url of another way to it.",
      ],
    ],
    [
      "a box without a name",
      box(),
      at({ bind: "0.0.0.0" }),
      [
        "gpubox:boxes.gpu2: No name of that box is known: gpubox:gateway.hosts is empty in Pulumi.gpu2.yaml. List there the names or addresses by which others reach it.",
      ],
    ],
    [
      "a URL of the gateway's own container",
      box({ url: "http://localhost:4000" }),
      at(reachable),
      [
        "gpubox:boxes.gpu2.url: localhost is the gateway container's own loopback. Write an address of that box that containers of this host reach.",
      ],
    ],
    [
      "a URL with a version",
      box({ url: "http://100.64.0.2:4000/v1" }),
      at(reachable),
      ['gpubox:boxes.gpu2.url: "http://100.64.0.2:4000/v1" ends in a version. Write http://100.64.0.2:4000.'],
    ],
    [
      "a name that the box does not answer to",
      box({ url: "http://proxy.lan" }),
      at(reachable),
      [
        "gpubox:boxes.gpu2.url: That box does not answer to the name proxy.lan. Add it to gpubox:gateway.hosts in Pulumi.gpu2.yaml.",
      ],
    ],
    [
      "a stack file that is not there",
      box({ stack: "gpu4" }),
      { gpu4: { unreadable: { what: "There is no Pulumi.gpu4.yaml beside this file.", fix: "Write it." } } },
      ["gpubox:boxes.gpu2.stack: There is no Pulumi.gpu4.yaml beside this file. Write it."],
    ],
    [
      "a file with a mistake",
      box(),
      files({ gpu2: { ...gpu2, models: { coder: { ...coder, maxModlLen: 1 } } } }),
      [
        "gpubox:boxes.gpu2: Pulumi.gpu2.yaml has mistakes, so that nobody can say what that box serves. `npm run preview -- --stack gpu2` lists them.",
      ],
    ],
    [
      "a file with a mistake in its own boxes",
      box(),
      files({ gpu2: { ...gpu2, boxes: { gpu3: {} } } }),
      [
        "gpubox:boxes.gpu2: Pulumi.gpu2.yaml has mistakes, so that nobody can say what that box serves. `npm run preview -- --stack gpu2` lists them.",
      ],
    ],
    [
      "itself",
      { boxes: { me: { stack: "gw", key } } },
      files({ gw: {} }),
      [
        "gpubox:boxes.me.stack: It is this stack itself. Name another one; its own models stand under gpubox:models.",
      ],
    ],
    [
      "a circle",
      box(),
      files({
        gpu2: { ...gpu2, boxes: { gpu3: { key } } },
        gpu3: { ...gpu3, models: {}, boxes: { gw: { key } } },
      }),
      [
        "gpubox:boxes.gpu2.stack: The boxes serve each other's models in a circle: gw → gpu2 → gpu3 → gw. Take gw out of gpubox:boxes in Pulumi.gpu3.yaml.",
      ],
    ],
    [
      "a model that the box does not have",
      box({ models: ["codr"] }),
      files({ gpu2 }),
      ['gpubox:boxes.gpu2.models[0]: That box serves no model "codr". Did you mean "coder"?'],
    ],
    [
      "a model of the stack's own by the same name",
      { ...box(), models: { coder: far } },
      files({ gpu2 }),
      [
        'gpubox:boxes.gpu2: Its model "coder" has a name that is taken by gpubox:models.coder. Rename one of them, or write here which of its models to serve: models: [ … ].',
      ],
    ],
    [
      "an alias that leads elsewhere already",
      { boxes: { gpu2: { key }, gpu3: { key: key3 } } },
      files({ gpu2, gpu3: { ...gpu3, models: { other: { ...far, aliases: ["local"] } } } }),
      [
        'gpubox:boxes.gpu3: "local", an alias of its model other, is taken by coder of the box gpu2. Write aliases: false here, or rename one of them; each name leads to one model.',
      ],
    ],
    [
      "one name for two kinds of model",
      { boxes: { gpu2: { key }, gpu3: { key: key3 } } },
      files({ gpu2, gpu3: { ...gpu3, models: { coder: { ...far, mode: "embedding" } } } }),
      [
        'gpubox:boxes.gpu3: Its model "coder" has another mode than that of the box gpu2, and both would be behind one name. Make them the same in the two files, rename one, or write here which of its models to serve: models: [ … ].',
      ],
    ],
    [
      "a key that is not set",
      box({ key: { secret: "gpu9Key" } }),
      files({ gpu2: { ...gpu2, models: { coder, far } } }),
      [
        "gpubox:boxes.gpu2.key: The secret gpu9Key is missing. Set it: pulumi config set --secret gpubox:gpu9Key.",
      ],
    ],
    [
      "what is wrong with the model here",
      { ...box(), models: { "Coder-GPU2": far } },
      files({ gpu2 }),
      [
        'gpubox:boxes.gpu2: Of its model coder: Its container would have the same name as that of "Coder-GPU2". Rename one so that they differ in more than upper case and punctuation.',
      ],
    ],
    [
      "a key of a box that there is none of",
      { boxes: { gpu2: { stak: "x", key } } },
      files({ gpu2 }),
      ['gpubox:boxes.gpu2.stak: "stak" is no setting here. Did you mean "stack"?'],
    ],
    [
      "a box without a key",
      { boxes: { gpu2: {} } },
      files({ gpu2 }),
      ["gpubox:boxes.gpu2.key: It is missing. Write a map of settings."],
    ],
  ])("%s", (_, values, boxFiles, expected) => expect(mistakes(values, boxFiles)).toEqual(expected));
});
