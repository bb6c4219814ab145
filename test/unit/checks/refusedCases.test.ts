import { gpuHost, locked, refusals } from "../../support/engines";
import { mistakesOf } from "../../support/mistakes";

/**
 * Inputs of people's setups that are refused, by the numbers of their list, each with the one sentence that leads on. What is
 * accepted of the list is started for real in test/e2e/cases.test.ts.
 */
const far = { engine: "openai", baseUrl: "http://h:1/v1" };
const host = { host: gpuHost };
const entry = (m: Record<string, unknown>) => ({ ...host, models: { m } });

test.each<[string, Record<string, unknown>, string]>([
  [
    "1: LiteLLM's own words beside the entry's",
    entry({ ...far, extraBody: { chat_template_kwargs: { enable_thinking: false } } }),
    'extraBody: "extraBody" is no setting here. Write it as gpubox:models.m.params.extra_body.',
  ],
  [
    "1: what gpubox sets",
    entry({ ...far, params: { api_base: "http://elsewhere/v1" } }),
    "params.api_base: api_base is set by gpubox. Use `baseUrl`, or `apiBase` of engine: cloud.",
  ],
  [
    "8: a template that no mount brings",
    entry({ engine: "vllm", model: "file:///srv/models/m", chatTemplate: "/srv/t/x.jinja" }),
    "chatTemplate: No mount of its container brings /srv/t/x.jinja. Write file:///srv/t/x.jinja, or declare the mount: mounts: [{ source: /srv/t }].",
  ],
  [
    "8: a draft that the engine would ask a hub for",
    entry({ engine: "vllm", model: "file:///srv/models/m", speculativeConfig: { model: "org/draft" } }),
    'speculativeConfig.model: The engine has no way to a hub, where "org/draft" would be. Write hf://org/draft.',
  ],
  [
    "8: a draft by its flag",
    entry({ engine: "llamacpp", model: "file:///srv/models/m.gguf", extraArgs: ["-md", "/other/x.gguf"] }),
    'extraArgs: "-md" is set by gpubox. Use the entry\'s own key for it: modelDraft.',
  ],
  [
    "15: a bound that does not pass",
    entry({ engine: "llamacpp", model: "canned", ctxSize: 0 }),
    "ctxSize: 0 is not valid. Write at least 1.",
  ],
])("%s", (_, values, mistake) => {
  expect(mistakesOf(values)).toEqual([`gpubox:models.m.${mistake}`]);
});

test("4: one model with an unknown key, and another one that falls back to it", () => {
  const models = { m: { ...far, colour: "blue" }, n: far };
  expect(mistakesOf({ models, gateway: { routing: { fallbacks: { n: ["m"] } } } })).toEqual([
    expect.stringMatching(/^gpubox:models\.m\.colour: "colour" is no setting here\. /),
  ]);
});

test("7: two copies of two ranks each on two devices", () => {
  const copies = {
    ...{ engine: "vllm", model: "hf://o/m", gpu: { devices: [0, 1] }, tensorParallelSize: 2 },
    extraArgs: ["--data-parallel-size", "2"],
  };
  expect(refusals(copies, { lock: locked() })).toEqual([
    "tensorParallelSize: Tensor 2 × pipeline 1 × data 2 makes 4 ranks, which do not fit on 2 devices. Write 1 here, or name 4 devices in gpu.devices.",
  ]);
});

test("16: a callback that no file brings", () => {
  const settings = { litellm: { callbacks: ["audit.handler"] } };
  expect(mistakesOf({ models: { m: far }, gateway: { settings } })).toEqual([
    'gpubox:gateway.settings.litellm.callbacks[0]: "audit.handler" is none of LiteLLM\'s own, and no file brings the module audit. If the code is yours, name its file: gpubox:gateway.modules: { audit: ./audit.py }. Else remove it.',
  ]);
});
