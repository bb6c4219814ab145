import fc from "fast-check";
import known from "../../../configs/litellm/keys.json";
import { type ModelMap, OWNED_KEYS, REFUSED_KEYS } from "../../../configs/litellm/modelKeys";
import { planRemoteGateway } from "../../../operations/gatewayConfig/remoteGateway";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { boxOf, everyImage, refusals } from "../../support/engines";
import { testSecrets, testSide } from "../../support/stacks";

const far = { engine: "openai", baseUrl: "http://far.example:8000/v1" };
const secrets = { orgKey: "PLANTED-organisation", headerKey: "PLANTED-header" };

test("params and info arrive under LiteLLM's names, for a server, a provider and a backend of the box", () => {
  const params = {
    temperature: 0.6,
    top_k: 20,
    max_tokens: 512,
    extra_body: { chat_template_kwargs: { enable_thinking: false } },
    additional_drop_params: ["user"],
    allowed_openai_params: ["reasoning_effort"],
    merge_reasoning_content_in_choices: true,
  };
  const info = { access_groups: ["beta"], cache_read_input_token_cost: 3e-8, supports_vision: true };
  for (const entry of [
    far,
    { engine: "cloud", model: "groq/llama-4", apiKey: "none" },
    { engine: "vllm", model: "hf://acme/m", gpu: { devices: [0] } },
  ]) {
    const [deployment] = boxOf({ ...entry, params, info }).deployments;
    expect(deployment).toMatchObject({ litellm_params: params, model_info: { id: "m", ...info } });
  }
});

test("a server's own /v1/messages is asked only where all of params would arrive with it", () => {
  const endpoints = (params: Record<string, unknown>) => {
    const entry = { engine: "vllm", model: "hf://acme/m", gpu: { devices: [0] }, params };
    return boxOf(entry).deployments[0]!.model_info.supported_endpoints;
  };
  const native = ["/v1/chat/completions", "/v1/messages"];
  expect(endpoints({ temperature: 0, top_k: 5, extra_headers: { "x-a": "b" } })).toEqual(native);
  expect(endpoints({ extra_body: { chat_template_kwargs: {} } })).toBeUndefined();
  expect(endpoints({ min_p: 0.1 })).toBeUndefined();
});

test("a secret is named by a variable, and its value stands in the env file alone", () => {
  const entry = {
    ...far,
    params: {
      organization: { secret: "orgKey" },
      extra_headers: { "x-team": "red", "x-key": { secret: "headerKey" } },
    },
  };
  const { plan, deployments } = boxOf(entry, { secrets });
  expect(deployments[0]!.litellm_params).toMatchObject({
    organization: "os.environ/GPUBOX_SECRET_orgKey",
    extra_headers: { "x-team": "red", "x-key": "os.environ/GPUBOX_SECRET_headerKey" },
  });
  const env = plan.gateway.directory.files["gateway.env"]!.text;
  for (const name of Object.keys(secrets)) {
    expect(env).toContainEqual({ secret: name, as: "shell" });
    expect(env).toContain(`GPUBOX_SECRET_${name}=`);
  }
  expect(refusals(entry)).toEqual(
    ["params.organization", "params.extra_headers.x-key"].map((path, index) => {
      const name = Object.keys(secrets)[index];
      return `${path}: The secret ${name} is missing. Set it: pulumi config set --secret gpubox:${name}.`;
    }),
  );
});

test("another value of a secret in params is another generation, and its model is proven anew", () => {
  const entry = { ...far, params: { organization: { secret: "orgKey" } } };
  const hash = (orgKey: string) => boxOf(entry, { secrets: { orgKey } }).plan.gateway.modelHashes.m;
  expect(hash("PLANTED-other")).not.toBe(hash("PLANTED-organisation"));
});

test("an instance's own keys go over those of its entry, one by one", () => {
  const { deployments } = boxOf({
    engine: "openai",
    params: { temperature: 0, top_p: 0.5 },
    instances: [{ baseUrl: "http://a.example/v1" }, { baseUrl: "http://b.example/v1", params: { top_p: 1 } }],
  });
  expect(deployments.map(({ litellm_params: { temperature, top_p } }) => [temperature, top_p])).toEqual([
    [0, 0.5],
    [0, 1],
  ]);
});

test("a gateway of another machine gets them too, with the names of the secrets", () => {
  const { config, lock } = testSide(
    {
      models: { m: { ...far, params: { top_p: 0.5, extra_headers: { "x-key": { secret: "headerKey" } } } } },
    },
    { secrets: { ...testSecrets, ...secrets } },
  );
  const made = planRemoteGateway(
    { config, lock, resolved: everyImage, assets: loadAssets(packageDir) },
    "stateless",
  );
  expect(made.config).toContain("top_p: 0.5");
  expect(made.config).toContain("x-key: os.environ/GPUBOX_SECRET_headerKey");
  expect(made.env).toContain("\n# pulumi config get gpubox:headerKey\nGPUBOX_SECRET_headerKey=\n");
});

test.each([
  [
    { params: { extraBody: {} } },
    'params.extraBody: LiteLLM 1.106.0 has no key "extraBody" for a model\'s params. Did you mean "extra_body"?',
  ],
  [
    { params: { apikey: "x" } },
    'params.apikey: LiteLLM 1.106.0 has no key "apikey" for a model\'s params. Did you mean "api_key"? Use `apiKey`.',
  ],
  [
    { params: { frobnicate_the_widget: 1 } },
    'params.frobnicate_the_widget: LiteLLM 1.106.0 has no key "frobnicate_the_widget" for a model\'s params. Remove it, or write what the server alone knows into extra_body: { … }.',
  ],
  [
    { params: { access_groups: ["beta"] } },
    'params.access_groups: LiteLLM 1.106.0 has no key "access_groups" for a model\'s params. It belongs under info.',
  ],
  [
    { info: { temperature: 1 } },
    'info.temperature: LiteLLM 1.106.0 has no key "temperature" for a model\'s info. It belongs under params.',
  ],
  [{ params: { rpm: 5 } }, "params.rpm: rpm is set by gpubox. Use `rpm`."],
  [{ info: { mode: "chat" } }, "info.mode: mode is set by gpubox. Use `mode`."],
  [
    { params: { cache_read_input_token_cost: 1 } },
    "params.cache_read_input_token_cost: Prices stand in one place, or LiteLLM would take only some of them. Write it under `info`; the prices of a token are `price`.",
  ],
  [
    { params: { guardrails: ["pii"] } },
    "params.guardrails: guardrails: It decides which guardrails run, and which code that is. Use gpubox:gateway.guardrails, which every request passes.",
  ],
  [
    { params: { use_litellm_proxy: true } },
    "params.use_litellm_proxy: use_litellm_proxy: Every request would go to another LiteLLM, whatever its model says. Remove it; name the other gateway under gpubox:boxes, or in the model's baseUrl.",
  ],
  [
    { params: { anthropic_identity_token_file: "/etc/token" } },
    "params.anthropic_identity_token_file: It names a file in the gateway's container, and nothing brings that file there. Put the key itself into a secret, and name it: { secret: <its name> }.",
  ],
  [
    { params: { organization: "os.environ/LITELLM_MASTER_KEY" } },
    "params.organization: LiteLLM would put a variable of the gateway, or a token of its machine, in place of this text. Write the value itself; a key goes where { secret: <its name> } is taken, as in gpubox:gateway.env.",
  ],
  [
    { params: { extra_headers: { Authorization: { secret: "farKey" } } } },
    "params.extra_headers: LiteLLM sends the entry's own key in the field Authorization, whatever stands here. Use apiKey: { secret: <its name> }.",
    "params.extra_headers.Authorization: The secret farKey is missing. Set it: pulumi config set --secret gpubox:farKey.",
  ],
  [
    { params: { extra_headers: { "x-key": "Bearer abcdefghijklmnop" } } },
    "params.extra_headers.x-key: This value looks like a key or a password, and anybody who can read the config or the container can read it. Put it into a secret of the stack and name it where the key takes { secret: name }; else take it out. Policy no-plaintext-secrets; gpubox:policy.waive can say why it does not count.",
  ],
  [
    { params: { stop: [{ secret: "masterKey" }] } },
    "params.stop[0]: LiteLLM puts no secret into a list. Name it as the value of a key.",
    "params.stop[0]: The secret masterKey is one that the box makes for itself, and this place sends it to another server. Set a secret of its own for that server and name it here: pulumi config set --secret gpubox:<name>.",
  ],
  [
    { params: { extra_headers: { "x-key": { secret: "saltKey" } } } },
    "params.extra_headers.x-key: The secret saltKey is one that the box makes for itself, and this place sends it to another server. Set a secret of its own for that server and name it here: pulumi config set --secret gpubox:<name>.",
  ],
  [
    { params: { temperature: "hot" } },
    "params.temperature: The value is not one that LiteLLM takes here. Write a number.",
  ],
  [
    { params: { extra_body: "x" } },
    "params.extra_body: The value is not one that LiteLLM takes here. Write a map.",
  ],
  [
    { info: { access_groups: "beta" } },
    "info.access_groups: The value is not one that LiteLLM takes here. Write a list of names, which gpubox:access then takes beside models.",
  ],
  [
    { info: { team_id: "t" } },
    "info.team_id: LiteLLM keeps it of the models in its database. Remove it; gpubox:access says who may use which model.",
  ],
])("%j is refused", (more, ...problems) => {
  expect(refusals({ ...far, ...more })).toEqual(problems);
});

test.each([
  [
    { ...far, messages: "native", params: { extra_body: {}, min_p: 0.1, temperature: 0 } },
    "messages: LiteLLM passes a request on to the server's own /v1/messages without extra_body, min_p of params. Write messages: translated, or take these keys out.",
  ],
  [
    { engine: "cloud", model: "anthropic/claude-x", apiKey: "none", params: { extra_body: { a: 1 } } },
    "params.extra_body: LiteLLM sends it to this provider as a key of that name, which the provider refuses. Write the keys that it holds under params themselves.",
  ],
])("what would not arrive is refused: %j", (entry, problem) => expect(refusals(entry)).toEqual([problem]));

test("a mistake of an instance has the instance's path, and one of the entry is told once", () => {
  const two = [
    { baseUrl: "http://a.example/v1", params: { temprature: 1 } },
    { baseUrl: "http://b.example/v1" },
  ];
  expect(refusals({ engine: "openai", params: { model: "x" }, instances: two })).toEqual([
    "params.model: model is set by gpubox. Use `model`.",
    'instances[0].params.temprature: LiteLLM 1.106.0 has no key "temprature" for a model\'s params. Did you mean "temperature"?',
  ]);
});

test("what gpubox sets or refuses of a model is what LiteLLM reads", () => {
  const read: Record<ModelMap, string[]> = { params: known.litellm_params, info: known.model_info };
  // The router looks for it by its name, in what may hold any key.
  const anywhere = ["info.cooldown_time"];
  const unread = (["params", "info"] as const).flatMap((map) =>
    Object.keys(OWNED_KEYS[map])
      .filter((key) => !read[map].includes(key))
      .map((key) => `${map}.${key}`),
  );
  expect(unread).toEqual(anywhere);
  for (const map of ["params", "info"] as const)
    for (const { keys } of REFUSED_KEYS[map]) expect(read[map].some((key) => keys.test(key))).toBe(true);
});

test("no key of LiteLLM that leads elsewhere is taken", () => {
  const leads = known.litellm_params.filter((key) => /url|host|endpoint|_base$|file|path|callback/.test(key));
  const taken = leads.filter((key) => refusals({ ...far, params: { [key]: "x" } }).length === 0);
  expect(taken).toEqual(["max_file_size_mb"]);
});

test("whatever a key and its value are, the entry is taken or told about, and never more than read", () => {
  const key = fc.oneof(fc.constantFrom(...known.litellm_params, ...known.model_info), fc.string());
  fc.assert(
    fc.property(fc.constantFrom("params", "info"), key, fc.jsonValue(), (map, name, value) => {
      for (const problem of refusals({ ...far, [map]: { [name]: value } }))
        expect(problem.startsWith(`${map}.${name}`)).toBe(true);
    }),
  );
});
