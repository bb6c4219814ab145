import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { rawStack, testSecrets, tinyModel } from "../../support/stacks";

/** `path: what fix` of every mistake in a gateway's section, sorted. */
function mistakes(
  gateway: Record<string, unknown>,
  others: Record<string, unknown> = {},
  secrets = {},
): string[] {
  try {
    parseStack(rawStack({ gateway, models: tinyModel, ...others }, { ...testSecrets, ...secrets }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((p) => `${p.path}: ${p.what} ${p.fix}`).sort();
  }
}

const settings = (section: string, values: Record<string, unknown>) =>
  mistakes({ settings: { [section]: values } });

test("a setting that LiteLLM reads is passed through", () => {
  expect(settings("router", { retry_policy: { TimeoutErrorRetries: 3 } })).toEqual([]);
  expect(settings("litellm", { modify_params: true })).toEqual([]);
  expect(settings("general", { cancel_on_disconnect: true })).toEqual([]);
});

test.each([
  [
    "a misspelt key gets the nearest name",
    "general",
    "cancel_on_disconect",
    'LiteLLM 1.106.0 has no setting "cancel_on_disconect" in general_settings. Did you mean "cancel_on_disconnect"?',
  ],
  [
    "a misspelt key of one that gpubox sets leads to the key of the stack config",
    "router",
    "routing_stratgy",
    'LiteLLM 1.106.0 has no setting "routing_stratgy" in router_settings. Did you mean "routing_strategy"? Use gpubox:gateway.routing.strategy.',
  ],
  [
    "a key of another section is sent there",
    "litellm",
    "cancel_on_disconnect",
    'LiteLLM 1.106.0 has no setting "cancel_on_disconnect" in litellm_settings. It belongs under gpubox:gateway.settings.general.',
  ],
  [
    "a key that is like none is to go",
    "litellm",
    "zzzzzzzzzzzz",
    'LiteLLM 1.106.0 has no setting "zzzzzzzzzzzz" in litellm_settings. Remove it.',
  ],
  [
    "a key of an old guide is answered with what does it today",
    "litellm",
    "cache_kwargs",
    "cache_kwargs does nothing: LiteLLM reads it nowhere here. Use gpubox:cache.ttlSeconds and its neighbours.",
  ],
  [
    "a dead key counts in any case",
    "general",
    "SEPARATE_HEALTH_APP",
    "SEPARATE_HEALTH_APP does nothing: LiteLLM has removed it. Use nothing: the edge asks /health/liveliness.",
  ],
  [
    "a key that gpubox sets is answered with its own",
    "router",
    "fallbacks",
    "fallbacks is set by gpubox. Use gpubox:gateway.routing.fallbacks.",
  ],
])("%s", (_, section, key, message) => {
  expect(settings(section, { [key]: [] })).toEqual([`gpubox:gateway.settings.${section}.${key}: ${message}`]);
});

test.each([
  ["general", "background_health_checks", true, "Each check is a real generation"],
  ["general", "dangerously_permit_weak_or_unset_master_key", true, "everybody is admin"],
  ["general", "max_in_flight_requests_per_worker", 4, "LiteLLM's admission control answers 503"],
  ["general", "max_requests_before_restart", 1000, "A gateway that restarts itself drops"],
  ["general", "proxy_batch_write_at", 60, "budgets are overspent"],
])("settings.%s.%s: %p is refused with the reason", (section, key, value, reason) => {
  expect(settings(section, { [key]: value })).toEqual([expect.stringContaining(reason)]);
});

test("a dangerous key with a harmless value is passed through", () => {
  expect(settings("general", { background_health_checks: false, proxy_batch_write_at: 10 })).toEqual([]);
});

test.each([
  ["127.0.0.1", 0],
  ["100.101.102.103", 0],
  ["203.0.113.7", 1],
  ["0.0.0.0", 1],
])("requests while the database is down are allowed only on private networks: bind %s", (bind, count) => {
  const gateway = { bind, hosts: ["box"], settings: { general: { allow_requests_on_db_unavailable: true } } };
  expect(mistakes(gateway)).toHaveLength(count);
});

test("a callback without its key is refused with the variable that it needs", () => {
  const gateway = { settings: { litellm: { success_callback: ["langfuse"] } } };
  expect(mistakes(gateway)).toEqual([
    "gpubox:gateway.settings.litellm.success_callback: The callback langfuse needs LANGFUSE_PUBLIC_KEY. Write it into gpubox:gateway.env.",
    "gpubox:gateway.settings.litellm.success_callback: The callback langfuse needs LANGFUSE_SECRET_KEY. Set a secret and write it into gpubox:gateway.env: LANGFUSE_SECRET_KEY: { secret: <its name> }.",
  ]);
  const env = { LANGFUSE_PUBLIC_KEY: "pk-1", LANGFUSE_SECRET_KEY: { secret: "langfuseKey" } };
  expect(mistakes({ ...gateway, env })).toEqual([
    "gpubox:gateway.env.LANGFUSE_SECRET_KEY: The secret langfuseKey is missing. Set it: pulumi config set --secret gpubox:langfuseKey.",
  ]);
  expect(mistakes({ ...gateway, env }, {}, { langfuseKey: "sk-PLANTED-langfuse" })).toEqual([]);
});

test.each([
  ["LANGFUSE_SECRET_KEY", "sk-lf-1", "The value would stand in plaintext."],
  ["GRACEFUL_SHUTDOWN_TIMEOUT", "30", "Use gpubox:gateway.drainTimeout"],
  ["NUM_WORKERS", "4", "A drain reaches one worker only"],
  ["MAX_REQUESTS_BEFORE_RESTART", "100", "A gateway that restarts itself drops"],
  ["USE_PRISMA_MIGRATE", "True", "USE_PRISMA_MIGRATE does nothing"],
  ["REDIS_URL", "redis://x", "LiteLLM drops its timeouts"],
  ["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true", "LiteLLM would start with sk-1234"],
])("the variable %s=%s is refused with the reason", (name, value, reason) => {
  expect(mistakes({ env: { [name]: value } })).toEqual([expect.stringContaining(reason)]);
});

test("a variable's name has to be valid in a shell", () => {
  expect(mistakes({ env: { "a b": "x" } })).toEqual([
    'gpubox:gateway.env.a b: "a b" cannot be a name here. A variable\'s name is upper case letters, digits and _.',
  ]);
});

test("a secret in LiteLLM's settings is refused at any depth: LiteLLM would get its name", () => {
  const refusal = (path: string) =>
    `gpubox:gateway.settings.${path}: LiteLLM's settings take no secrets: it would get the name. Leave it out, and where LiteLLM reads a variable for it too, write that into gpubox:gateway.env: { NAME: { secret: <its name> } }.`;
  const secret = { secret: "hook" };
  expect(settings("general", { alert_to_webhook_url: { budget_alerts: secret } })).toEqual([
    refusal("general.alert_to_webhook_url.budget_alerts"),
  ]);
  expect(settings("litellm", { default_team_settings: [{ team_id: "a", langfuse_secret: secret }] })).toEqual(
    [refusal("litellm.default_team_settings[0].langfuse_secret")],
  );
});

test.each([
  ["http://localhost:9/x", "localhost is the gateway container's own loopback"],
  ["http://me:PLANTED@hooks.example/x", "The URL carries credentials"],
])("an address in LiteLLM's settings is judged as any other: %s", (url, what) => {
  for (const value of [url, [url], { budget_alerts: url }])
    expect(settings("general", { alert_to_webhook_url: value })).toEqual([expect.stringContaining(what)]);
});
