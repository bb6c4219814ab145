import { keyPlaces, misplaced, whereItIs } from "../../../configs/checks/misplaced";
import { ConfigError } from "../../../configs/kit/problems";
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
  [
    tiny({ maxModelLen: 5 }),
    ["gpubox:models.tiny.maxModelLen: Write it as gpubox:models.tiny.maxModelLen (engine: vllm)."],
  ],
  [
    tiny({ num_retries: 5 }),
    ["gpubox:models.tiny.num_retries: Write it as gpubox:models.tiny.params.num_retries."],
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
