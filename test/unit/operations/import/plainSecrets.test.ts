import fc from "fast-check";
import { stringify } from "yaml";
import { type ImportedStack, imported, lost } from "../../../support/imported";
import { runs } from "../../../support/runs";

/** Everything that an import shows or writes, but the values that it moves into the stack's secrets. */
const shown = ({ secrets: _, config: __, ...rest }: ImportedStack) => JSON.stringify(rest);

const NAMES = [
  ...["api_key", "apiKey", "x-api-key", "client_secret", "auth_value", "access_token", "password", "passwd"],
  ...["Authorization", "Cookie", "private_key", "MYPASS", "db_pass", "vertex_credentials", "SENTRY_DSN"],
];

/** Places of a LiteLLM config where people write keys. `key` and `value`: what stands there. */
const PLACES: Record<string, (key: string, value: string) => Record<string, unknown>> = {
  params: (key, value) => ({ model_list: [far({ [key]: value })] }),
  headers: (key, value) => ({ model_list: [far({ extra_headers: { [key]: value } })] }),
  body: (key, value) => ({ model_list: [far({ extra_body: { deep: [{ [key]: value }] } })] }),
  query: (key, value) => ({ model_list: [far({ api_base: `http://far.lan/v1?${key}=${value}` }), far({})] }),
  login: (key, value) => ({ model_list: [far({ api_base: `http://${key}:${value}@far.lan/v1` }), far({})] }),
  guardrail: (key, value) => ({
    ...served,
    guardrails: [
      { guardrail_name: "g", litellm_params: { guardrail: "lakera_v2", mode: "pre_call", [key]: value } },
    ],
  }),
  passThrough: (key, value) => ({
    ...served,
    general_settings: {
      pass_through_endpoints: [{ path: "/rank", target: "http://rank.lan/x", headers: { [key]: value } }],
    },
  }),
  litellm: (key, value) => ({
    ...served,
    litellm_settings: { default_team_settings: [{ team_id: "a", [key]: value }] },
  }),
  router: (key, value) => ({ ...served, router_settings: { default_litellm_params: { [key]: value } } }),
  general: (key, value) => ({
    ...served,
    general_settings: { alerting_args: { [key]: [value] }, [key]: value },
  }),
  variables: (key, value) => ({
    ...served,
    environment_variables: { [key.toUpperCase().replace(/\W/g, "_")]: value },
  }),
  mcp: (key, value) => ({
    ...served,
    mcp_servers: { one: { url: `http://mcp.lan/${value}`, [key]: value } },
  }),
  credentials: (key, value) => ({ ...served, credential_list: [{ credential_values: { [key]: value } }] }),
};

function far(params: Record<string, unknown>) {
  return {
    model_name: "far",
    litellm_params: { model: "hosted_vllm/x", api_base: "http://far.lan/v1", ...params },
  };
}

const served = { model_list: [far({})] };

test("no key in plain text is shown or written, however short it is and wherever it stands", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(PLACES)),
      fc.constantFrom(...NAMES),
      fc.integer({ min: 1000, max: 9999 }),
      async (place, key, number) => {
        const value = `PLANTED${number}`;
        const made = await imported({ "config.yaml": stringify(PLACES[place]!(key, value)) });
        expect(shown(made)).not.toContain(value);
      },
    ),
    runs(150),
  );
});

test("words that fill the place of a key, names and numbers stay as they are", async () => {
  const { values } = await imported({
    "config.yaml": stringify({
      model_list: [
        far({
          extra_headers: { "x-team": "red", "x-api-key": "none", "x-cache-key": "a", token: "true" },
          extra_body: { eos_token: "</s>", max_tokens: 5, pass: "" },
        }),
      ],
    }),
  });
  expect((values.models!.far as { params: object }).params).toEqual({
    extra_headers: { "x-team": "red", "x-api-key": "none", "x-cache-key": "a", token: "true" },
    extra_body: { eos_token: "</s>", max_tokens: 5, pass: "" },
  });
});

test("a key of a setting is told, because settings take no secrets; what stands beside it comes over", async () => {
  const made = await imported({
    "config.yaml": stringify({
      ...served,
      litellm_settings: { default_team_settings: [{ team_id: "a", langfuse_secret: "PLANTED" }] },
      general_settings: {
        alerting: ["slack"],
        alert_to_webhook_url: { budget_alerts: "https://hooks.slack.com/services/T/B/PLANTED" },
      },
    }),
  });
  expect((made.values.gateway as { settings: object }).settings).toEqual({
    litellm: { default_team_settings: [{ team_id: "a" }] },
    general: { alerting: ["slack"] },
  });
  const why = expect.stringMatching(/^it is a key in plain text, and gateway.settings take no secrets/);
  expect(lost(made)).toEqual({
    "litellm_settings.default_team_settings[0].langfuse_secret": why,
    "general_settings.alert_to_webhook_url": why,
  });
});

test("secrets of what did not come over are neither named nor moved", async () => {
  const { text, secrets, missing } = await imported({
    "config.yaml": stringify({
      model_list: [
        far({ api_key: "sk-kept-0123456789" }),
        { model_name: "az", litellm_params: { model: "azure/x", api_key: "sk-lost-0123456789" } },
        { model_name: "no", litellm_params: { model: "nobody/x", api_key: "os.environ/NO_KEY" } },
      ],
    }),
  });
  expect(secrets).toEqual({ farKey: "sk-kept-0123456789" });
  expect(missing).toEqual({});
  expect(text).not.toContain("azureKey");
});

test("an entry that goes for want of its address is told by why that was refused", async () => {
  const { routes } = await imported({
    "config.yaml": stringify({
      model_list: [
        far({}),
        {
          model_name: "az",
          litellm_params: {
            model: "azure/x",
            api_base: "https://me:PLANTED@x.azure.com",
            api_version: "1",
            api_key: "k",
          },
        },
      ],
    }),
  });
  expect(routes.find(({ name }) => name === "az")?.new[0]).toMatch(
    /^none: gpubox refuses it: The URL carries credentials/,
  );
});

test.each(["mcp_servers", "credential_list", "prompts"])("%s is told with the way round", async (section) => {
  const made = await imported({ "config.yaml": stringify({ ...served, [section]: [{ a: "b" }] }) });
  expect(lost(made)[section]).not.toContain("no key");
  expect(lost(made)[section]).toMatch(/Give clients|Write apiKey|Keep prompts/);
});
