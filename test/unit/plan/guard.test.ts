import { readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parse } from "yaml";
import { BODY_ROUTES, NOT_KEPT } from "../../../configs/bodies/judged";
import { isSteering, steeringNames } from "../../../configs/bodies/kept";
import type { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { GUARD_ASSETS, type GuardRules } from "../../../configs/plan/guard";
import { packageDir } from "../../../platform/project";
import { runs } from "../../support/runs";
import { rawStack, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const gatewayOf = (gateway: object, cache: object = {}) =>
  testPlan({ models: tinyModel, gateway, cache }).gateway;

function rules(gateway: object = {}, cache: object = {}): GuardRules {
  return JSON.parse(renderText(gatewayOf(gateway, cache).directory.files["guard.json"]!.text, testSecrets));
}

test("a generation includes every file of the guard", () => {
  const there = readdirSync(join(packageDir, "assets/guard")).filter((name) => name.endsWith(".py"));
  expect(Object.keys(GUARD_ASSETS).sort()).toEqual(there.sort());
  expect(Object.keys(gatewayOf({}).directory.files)).toEqual(expect.arrayContaining(there));
});

test("the guard is called before the log, which is in front of it", () => {
  const { text } = gatewayOf({ trajectories: true }).directory.files["config.yaml"]!;
  expect(parse(renderText(text, testSecrets)).litellm_settings.callbacks).toEqual([
    "gpubox_guard.instance",
    "gpubox_trajectory.instance",
  ]);
});

test("the same config is the same generation, another rule is another", () => {
  const { generation } = gatewayOf({});
  expect(gatewayOf({}).generation).toBe(generation);
  expect(gatewayOf({ allowParameters: ["colour"] }).generation).not.toBe(generation);
});

test("dropParams decides about unknown parameters, and allowed ones are kept", () => {
  expect(rules().unknown).toBe("drop");
  expect(rules({ dropParams: false }).unknown).toBe("refuse");
  const { routes } = rules({ allowParameters: ["colour", "chat_template"] });
  for (const route of Object.keys(BODY_ROUTES))
    expect(routes[route]!.keep).toEqual(expect.arrayContaining(["colour", "chat_template"]));
  expect(rules().routes["chat/completions"]!.keep).not.toContain("chat_template");
});

test("answers are shared by the requests of one key, unless the config says otherwise", () => {
  expect(rules().cache).toBeNull();
  expect(rules({}, { ttlSeconds: 60 }).cache).toEqual({ scope: "key", ttlSeconds: 60 });
  expect(rules({}, { ttlSeconds: 60, scope: "team" }).cache?.scope).toBe("team");
});

test("a conversation stays with one of a model's instances for an hour, and nothing is asked of models that have one", () => {
  const affinity = (models: object, routing: object = {}) => {
    const { text } = testPlan({ models, gateway: { routing } }).gateway.directory.files["guard.json"]!;
    return (JSON.parse(renderText(text, testSecrets)) as GuardRules).affinity;
  };
  const far = { engine: "openai", baseUrl: "http://far:8000/v1" };
  const twice = { ...far, instances: [{}, { baseUrl: "http://farther:8000/v1" }] };
  expect(affinity({ far, ...tinyModel })).toBeUndefined();
  expect(affinity({ far, twice })).toBe(3600);
  expect(affinity({ far, twice }, { affinitySeconds: 60 })).toBe(60);
  expect(affinity({ far, twice }, { affinitySeconds: 0 })).toBeUndefined();
});

test("no body may contain what steers LiteLLM", () => {
  const { routes, steering, prefixes } = rules({ allowParameters: ["colour"] });
  for (const { keep } of Object.values(routes)) {
    expect(keep.filter((name) => steering.includes(name))).toEqual([]);
    const ours = ["litellm_session_id", "litellm_trace_id"];
    expect(keep.filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))).toEqual(ours);
  }
});

test("nobody may allow what steers LiteLLM", () => {
  const refused = (name: string) => {
    try {
      parseStack(rawStack({ models: tinyModel, gateway: { allowParameters: [name] } }));
    } catch (error) {
      return (error as ConfigError).problems.map(({ path, what }) => [path, what]);
    }
    return [];
  };
  const name = fc.constantFrom(
    ...steeringNames().filter((one) => /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/.test(one)),
  );
  fc.assert(
    fc.property(name, (one) => {
      expect(refused(one)).toEqual([
        ["gpubox:gateway.allowParameters", `"${one}" steers LiteLLM itself, and any client could send it.`],
      ]);
    }),
    runs(40),
  );
  for (const one of ["metadata", "model", "cache", "aws_anything", "mock_new"])
    expect(refused(one)).toHaveLength(1);
  const free = Object.keys(NOT_KEPT).filter((one) => !isSteering(one));
  expect(free).toEqual(expect.arrayContaining(["chat_template", "lora_path"]));
  for (const one of free.slice(0, 3)) expect(refused(one)).toEqual([]);
});
