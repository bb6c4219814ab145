import { keyPlaces, misplaced, whereItIs } from "../../../configs/checks/misplaced";
import { type EngineName, engines } from "../../../configs/engines";
import { ConfigError } from "../../../configs/kit/problems";
import litellm from "../../../configs/litellm/keys.json";
import { type ModelMap, OWNED_KEYS } from "../../../configs/litellm/modelKeys";
import { parseStack } from "../../../configs/parse";
import { rawStack, tinyModel } from "../../support/stacks";

function fixes(values: Record<string, unknown>): string[] {
  try {
    parseStack(rawStack(values));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, fix }) => `${path}: ${fix}`);
  }
}

const tiny = (more: object) => ({ models: { tiny: { ...tinyModel.tiny, ...more } } });

test("every key of the schema, in a place that takes none of its name, is sent to a path that ends in it", () => {
  const lost = [...keyPlaces()].flatMap(([key, places]) => {
    const hint = misplaced(key, "gpubox:policy", []);
    return places.some(({ path }) => hint.includes(path)) ? [] : [key];
  });
  expect(lost).toEqual([]);
  expect(keyPlaces().size).toBeGreaterThan(250);
});

test("a key in the spelling of a flag or of LiteLLM is found too", () => {
  expect(whereItIs("stream_timeout_seconds", "gpubox:host")).toBe(
    "write it as gpubox:gateway.routing.streamTimeoutSeconds.",
  );
});

test.each([
  [
    { gateway: { fallbacks: {} } },
    ["gpubox:gateway.fallbacks: Write it as gpubox:gateway.routing.fallbacks."],
  ],
  [{ gateway: { ttlSeconds: 5 } }, ["gpubox:gateway.ttlSeconds: Write it as gpubox:cache.ttlSeconds."]],
  [tiny({ maxModelLen: 5 }), ['gpubox:models.tiny.maxModelLen: Use "ctxSize".']],
  [
    tiny({ toolCallParser: "x" }),
    [
      "gpubox:models.tiny.toolCallParser: Only these engines take it: vllm, sglang, tensorrt-llm. Leave it out.",
    ],
  ],
  [tiny({ num_retries: 5 }), ["gpubox:models.tiny.num_retries: Use gpubox:gateway.routing.retries."]],
  [
    tiny({ extraBody: {} }),
    ["gpubox:models.tiny.extraBody: Write it as gpubox:models.tiny.params.extra_body."],
  ],
  [
    tiny({ access_groups: [] }),
    ["gpubox:models.tiny.access_groups: Write it as gpubox:models.tiny.info.access_groups."],
  ],
  [tiny({ model_info: {} }), ['gpubox:models.tiny.model_info: Use "info".']],
  [tiny({ timeout: 5 }), ['gpubox:models.tiny.timeout: Did you mean "timeoutSeconds"?']],
  [
    tiny({ memoryGiB: 5 }),
    [
      'gpubox:models.tiny.memoryGiB: Did you mean "memoryMiB"? Or write it as gpubox:models.tiny.gpu.memoryGiB (a server that the box runs).',
    ],
  ],
  [
    { cache: { mode: "external", host: "redis" } },
    [
      "gpubox:cache.host: A server elsewhere is named by its whole address: mode: external, and url: { secret: <its name> }.",
    ],
  ],
  [{ gateway: { num_retries: 5 } }, ["gpubox:gateway.num_retries: Use gpubox:gateway.routing.retries."]],
  [
    { gateway: { cache_responses: true } },
    ["gpubox:gateway.cache_responses: Write it as gpubox:gateway.settings.router.cache_responses."],
  ],
  [{ gateway: { ports: 1 } }, ['gpubox:gateway.ports: Did you mean "port"?']],
  [{ fallbacks: {} }, ["gpubox:fallbacks: In place of it, write it as gpubox:gateway.routing.fallbacks."]],
])("%j is sent to where it is accepted", (values, expected) => {
  expect(fixes(values)).toEqual(expected);
});

test("a key of LiteLLM's for a model is sent to a place that takes it, whichever it is", () => {
  const keys = [...new Set([...litellm.litellm_params, ...litellm.model_info])];
  const wrong = keys.flatMap((key) => {
    const [, map, own] =
      /models\.m\.(params|info)\.(\w+)\./.exec(whereItIs(key, "gpubox:models.m") ?? "") ?? [];
    if (map === undefined) return [];
    return Object.hasOwn(OWNED_KEYS[map as ModelMap], own!) ? [key] : [];
  });
  expect(wrong).toEqual([]);
});

test.each(Object.keys(engines))(
  "%s: what another engine calls the context is told by its own name",
  (engine) => {
    const { keys } = engines[engine as EngineName];
    const names = ["ctxSize", "maxModelLen", "contextLength", "maxSeqLen"];
    const own = names.find((name) => keys.includes(name));
    for (const name of names.filter((one) => own !== undefined && !keys.includes(one)))
      expect(misplaced(name, "gpubox:models.m", keys)).toBe(`Use "${own}".`);
  },
);
