import { GUARDRAIL_NEEDS, GUARDRAILS_WITHOUT_USE } from "../../../configs/litellm/guardrails";
import known from "../../../configs/litellm/keys.json";
import { mistakesOf } from "../../support/mistakes";

const guarding = (
  guardrail: string,
  params: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
) => mistakesOf({ gateway: { guardrails: { g: { guardrail, mode: "pre_call", params } }, ...more } });
const secrets = (entries: string[]) => Object.fromEntries(entries.map((name) => [name, "x"]));

test("LiteLLM's own kinds are taken with what they need", () => {
  expect(guarding("litellm_content_filter", { blocked_words: [] })).toEqual([]);
  expect(guarding("bedrock", secrets(["guardrailIdentifier", "guardrailVersion"]))).toEqual([]);
});

test("the pinned LiteLLM has every kind and parameter that gpubox speaks of", () => {
  const kinds = [...Object.keys(GUARDRAIL_NEEDS), ...Object.keys(GUARDRAILS_WITHOUT_USE)];
  expect(kinds.filter((kind) => !known.guardrails.includes(kind))).toEqual([]);
  const params = Object.values(GUARDRAIL_NEEDS).flatMap((needs) => needs.map(([param]) => param));
  expect(params.filter((param) => !known.guardrail_params.includes(param))).toEqual([]);
});

test.each(Object.entries(GUARDRAIL_NEEDS))("%s is refused without what it needs", (kind, needs) => {
  expect(guarding(kind).map((line) => line.split(". ")[0])).toEqual(
    needs.map(([param]) => `gpubox:gateway.guardrails.g.params: The guardrail ${kind} needs ${param}`).sort(),
  );
  expect(guarding(kind, secrets(needs.map(([param]) => param)))).toEqual([]);
});

test("a key comes from a secret, as a parameter or as the variable that LiteLLM reads", () => {
  expect(guarding("lakera_v2")).toEqual([
    "gpubox:gateway.guardrails.g.params: The guardrail lakera_v2 needs api_key. Write api_key: { secret: <its name> } here, or LAKERA_API_KEY into gpubox:gateway.env.",
  ]);
  const gateway = {
    guardrails: {
      g: { guardrail: "lakera_v2", mode: "pre_call", params: { api_key: { secret: "lakeraKey" } } },
    },
  };
  expect(mistakesOf({ gateway })).toEqual([
    "gpubox:gateway.guardrails.g.params.api_key: The secret lakeraKey is missing. Set it: pulumi config set --secret gpubox:lakeraKey.",
  ]);
  expect(mistakesOf({ gateway }, {}, { lakeraKey: "PLANTED-lakera" })).toEqual([]);
});

test.each([
  ["lakera_v3", {}, '.guardrail: LiteLLM 1.106.0 has no guardrail "lakera_v3". Did you mean "lakera_v2"?'],
  ["os.system", {}, '.guardrail: "os.system" is none of LiteLLM\'s own, and no file brings the module os.'],
  ["mcp_security", {}, ".guardrail: The guardrail mcp_security has no use here"],
  ["litellm_content_filter", { blocked_word: [] }, 'takes "blocked_word". Did you mean "blocked_words"?'],
  ["litellm_content_filter", { default_on: false }, "every request passes every guardrail"],
  ["litellm_content_filter", { mode: "post_call" }, "Use `mode` beside `params`."],
])("%s with %j is refused", (kind, params, said) => {
  expect(guarding(kind, params)).toEqual([expect.stringContaining(said)]);
});

test("a class of the user's is taken with any parameter, where its file brings it", () => {
  const gateway = {
    modules: { audit: "./audit.py" },
    guardrails: {
      own: { guardrail: "audit.Filter", mode: ["pre_call", "post_call"], params: { words: ["x"] } },
    },
  };
  expect(mistakesOf({ gateway }, { "./audit.py": { text: "class Filter: ..." } })).toEqual([]);
  expect(mistakesOf({ gateway }, { "./audit.py": { text: "class Filters: ..." } })).toEqual([
    'gpubox:gateway.guardrails.own.guardrail: The file of the module audit has no "Filter". Did you mean "audit.Filters"?',
  ]);
});

test("LiteLLM's former form is sent to the present one, wherever it stands", () => {
  const former = [{ injection: { callbacks: ["lakera_prompt_injection"], default_on: true } }];
  const said = expect.stringContaining("Use gpubox:gateway.guardrails, which every request passes.");
  expect(mistakesOf({ gateway: { settings: { litellm: { guardrails: former } } } })).toEqual([said]);
  expect(mistakesOf({ gateway: { settings: { guardrails: former } } })).toEqual([said]);
});

test("the address of a guardrail's server is judged as any other", () => {
  const params = {
    presidio_analyzer_api_base: "http://localhost:5002",
    presidio_anonymizer_api_base: "http://h:1",
  };
  expect(guarding("presidio", params)).toEqual([
    "gpubox:gateway.guardrails.g.params.presidio_analyzer_api_base: localhost is the gateway container's own loopback, not the host's. Let the server listen on the Docker bridge and write http://host.docker.internal:5002.",
  ]);
});
