import { testPlan, tinyModel } from "../../support/stacks";

const far = (baseUrl: string) => ({ engine: "openai", baseUrl });

/** Of each model, where the servers listen that the proof need not wait for. */
function elsewhere(models: Record<string, unknown>, env: Record<string, string> = {}) {
  const { description } = testPlan({ gateway: { env }, models }).gateway;
  const { models: told } = JSON.parse(description) as { models: Record<string, { elsewhere?: string[] }> };
  return Object.fromEntries(Object.entries(told).map(([name, model]) => [name, model.elsewhere]));
}

test("the proof knows where servers listen that gpubox does not start, with their ports", () => {
  const models = {
    ...tinyModel,
    plain: far("http://far.example/v1"),
    tls: far("https://far.example/v1"),
    ported: far("http://[fd00::1]:8000/v1"),
    mixed: { engine: "openai", instances: [{ baseUrl: "http://a:1/v1" }, { baseUrl: "http://b:2/v1" }] },
    cloud: { engine: "cloud", model: "openai/gpt-5-mini", apiKey: "none" },
  };
  expect(elsewhere(models)).toEqual({
    tiny: undefined,
    plain: ["far.example:80"],
    tls: ["far.example:443"],
    ported: ["[fd00::1]:8000"],
    mixed: ["a:1", "b:2"],
    cloud: undefined,
  });
});

test("it does not look where a proxy stands between", () => {
  const models = { ...tinyModel, plain: far("http://far.example/v1") };
  expect(elsewhere(models, { HTTP_PROXY: "http://proxy.example:3128" }).plain).toBeUndefined();
});
