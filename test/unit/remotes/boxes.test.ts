import { parseStack } from "../../../configs/parse";
import {
  coder,
  config,
  deployments,
  far,
  files,
  gpu2,
  gpu3,
  key,
  key3,
  reachable,
  secrets,
  type Values,
} from "../../support/boxFiles";
import { rawStack, tinyModel } from "../../support/stacks";

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
          cooldown_time: 0,
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

  test("has its own models next to them", () => {
    const { models } = config({ models: tinyModel, boxes: { gpu2: { key } } }, files({ gpu2 }));
    expect(Object.entries(models).map(([name, { engine }]) => [name, engine])).toEqual([
      ["coder", "openai"],
      ["tiny", "llamacpp"],
    ]);
  });

  test("takes the models that it names, and no aliases if it says so", () => {
    const models = { coder, far };
    const boxes = { a: { stack: "gpu2", key, models: ["coder"], aliases: false } };
    const own = config({ boxes }, files({ gpu2: { ...gpu2, models } })).models;
    expect(Object.keys(own)).toEqual(["coder"]);
    expect(own.coder?.aliases).toEqual([]);
  });

  test("serves a model under any valid name", () => {
    const models = { constructor: far, "Qwen/Qwen3:8b": far };
    const ids = deployments({ boxes: { gpu2: { key } } }, files({ gpu2: { ...gpu2, models } }));
    expect(ids.map(({ model_name, model_info }) => [model_name, model_info.id])).toEqual([
      ["Qwen/Qwen3:8b", "Qwen/Qwen3:8b-gpu2"],
      ["constructor", "constructor-gpu2"],
    ]);
  });

  test("serves what that box has from its own boxes", () => {
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

  test("the mode decides which prefix LiteLLM uses for it", () => {
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

  test("the price comes with it; a provider's model is looked up by the provider's name", () => {
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
    [{ timeoutSeconds: 3600 }, {}, 3630],
    [{ timeoutSeconds: 86_400 }, {}, 86_400],
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

  test("what that box leaves out is left out here too", () => {
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
