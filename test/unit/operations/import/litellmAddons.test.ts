import { imported, lost } from "../../../support/imported";

const models =
  'model_list:\n- { model_name: m, litellm_params: { model: openai/m, api_base: "http://10.0.0.5:8000/v1" } }\n';

test("routes that pass through come over with their keys as secrets, and say what clients notice", async () => {
  const made = await imported({
    "config.yaml": `${models}general_settings:
  pass_through_endpoints:
    - path: /rank-it
      target: https://rank.example/v1/rerank
      auth: true
      headers: { Authorization: "Bearer os.environ/RANK_KEY", content-type: application/json, x-team: red }
      methods: [post, get]
      cost_per_request: 0.5
    - { path: "/files-of", target: "https://files.example/v1", include_subpath: true, forward_headers: true, methods: [GET] }
    - { path: "/v1/rerank", target: "https://rank.example/v1/rerank", methods: [POST] }
`,
  });
  expect(made.values.gateway?.passThrough).toEqual({
    "/rank-it": {
      target: "https://rank.example/v1/rerank",
      apiKey: { secret: "rankKey" },
      headers: { "x-team": "red" },
      methods: ["POST", "GET"],
      costPerRequest: 0.5,
    },
    "/files-of": { target: "https://files.example/v1", subpaths: true, methods: ["GET"] },
  });
  expect(made.missing).toEqual({ rankKey: "the variable RANK_KEY" });
  const at = "general_settings.pass_through_endpoints";
  expect(lost(made)).toEqual({
    [`${at}[0].headers.content-type`]: "what the client sends goes on as it is",
    [`${at}[1].forward_headers`]: "gpubox's routes have no such key",
    [`${at}[2]`]: expect.stringMatching(
      /^gpubox refuses it: LiteLLM [\d.]+ has routes of its own below \/v1\./,
    ),
  });
  expect(made.text.replace(/\n\s*# /g, " ")).toContain(
    "Clients need a key of this box now, which the old route did not ask for.",
  );
});

test("guardrails come over with their keys as secrets; the former form is told", async () => {
  const made = await imported({
    "config.yaml": `${models}guardrails:
- guardrail_name: words
  litellm_params:
    guardrail: litellm_content_filter
    mode: pre_call
    default_on: true
    blocked_words: [{ keyword: bluebird, action: BLOCK }]
- guardrail_name: lakera
  litellm_params: { guardrail: lakera_v2, mode: [pre_call, post_call], api_key: PLANTED-lakera-0123456789 }
- prompt_injection: { callbacks: [lakera_prompt_injection], default_on: true }
`,
  });
  expect(made.values.gateway?.guardrails).toEqual({
    words: {
      ...{ guardrail: "litellm_content_filter", mode: "pre_call" },
      params: { blocked_words: [{ keyword: "bluebird", action: "BLOCK" }] },
    },
    lakera: {
      ...{ guardrail: "lakera_v2", mode: ["pre_call", "post_call"] },
      params: { api_key: { secret: "apiKey" } },
    },
  });
  expect(made.text).not.toContain("PLANTED");
  expect(lost(made)).toEqual({
    "guardrails[2]": "LiteLLM has left this form of guardrails behind, or it lacks its kind or its mode",
  });
});
