import { z } from "zod";
import { CALLBACK_LISTS, CALLBACK_VARIABLES, callbacksIn } from "../../configs/litellm/callbacks";
import { OWNED_VARIABLES } from "../../configs/litellm/owned";
import { sectionElsewhere } from "../../configs/litellm/sections";
import { FALLBACKS } from "../../configs/schema/routing";
import { CACHED_CALLS } from "../../configs/schema/stores";
import { aliases } from "./aliases";
import type { Draft } from "./draft";
import type { Input } from "./input";
import { guardrails, passThrough } from "./litellmAddons";
import { isPlainSecret, isSecret, plainSecrets, withoutSecrets } from "./plainSecrets";
import { keyOf, referenceOf, resolvedText, textOf, type Variables, variableSecret } from "./values";

type Write = (input: Input, about: About & { section: Input }) => void;
interface About {
  draft: Draft;
  variables: Variables;
}

/** Writes a value as it is under a key of the gateway's own. */
const under =
  (...keys: string[]): Write =>
  (input, { draft, variables }) => {
    const reference = referenceOf(input);
    const value = scalar.safeParse(reference ? variables.get(reference) : input.value);
    if (value.success) input.carry(draft.set("gateway", keys, plainValue(value.data)));
    else if (reference)
      input.lose(`it is in the variable ${reference}, which is not set here: set it and import again`);
  };

const scalar = z.union([z.number(), z.boolean(), z.string()]);

const lost =
  (why: string): Write =>
  (input) =>
    void input.lose(why);

const STORE = "the box has a Redis of its own; what the old one holds does not come over";
const DATABASE =
  "the box has a database of its own; virtual keys and spend of the old one do not come over (docs/import.md)";
const INSTEAD = "gpubox sets it by itself";

const ROUTING: Record<string, Write> = {
  routing_strategy: under("routing", "strategy"),
  num_retries: under("routing", "retries"),
  timeout: under("routing", "timeoutSeconds"),
  request_timeout: under("routing", "timeoutSeconds"),
  stream_timeout: under("routing", "streamTimeoutSeconds"),
  cooldown_time: under("routing", "cooldownSeconds"),
  allowed_fails: under("routing", "allowedFails"),
  enable_pre_call_checks: under("routing", "preCallChecks"),
  enable_tag_filtering: under("routing", "tagFiltering"),
  disable_cooldowns: (input, { draft }) => {
    if (input.value === true) input.carry(draft.set("gateway", ["routing", "cooldownSeconds"], 0));
  },
  ...Object.fromEntries(
    Object.entries(FALLBACKS).map(([ours, theirs]) => [theirs, fallbacksInto(ours)] as const),
  ),
};

const REDIS = Object.fromEntries(
  ["redis_url", "redis_host", "redis_port", "redis_password"].map((key) => [key, lost(STORE)]),
);

const LITELLM: Record<string, Write> = {
  ...ROUTING,
  ...REDIS,
  drop_params: under("dropParams"),
  json_logs: under("logs", "json"),
  set_verbose: (input, { draft }) => {
    if (input.value === true) input.carry(draft.set("gateway", ["logs", "level"], "DEBUG"));
    else input.carry("gpubox:gateway.logs.level");
  },
  max_budget: budget,
  budget_duration: budget,
  cache: (input, { draft }) => {
    if (input.value === true) input.carry("gpubox:cache.ttlSeconds");
    else if (input.value === false) input.carry(draft.set("cache", ["mode"], "none"));
  },
  cache_params: cacheParams,
  enable_caching_on_provider_specific_optional_params: lost(INSTEAD),
  sse_keepalive_ping_interval_seconds: lost(INSTEAD),
  anthropic_sse_ping_interval_seconds: lost(INSTEAD),
  budget_exceeded_status_code: lost(INSTEAD),
};

const ROUTER: Record<string, Write> = {
  ...ROUTING,
  ...REDIS,
  model_group_alias: aliases,
  optional_pre_call_checks: (input, { draft }) => {
    const kept = input.children().filter(({ value }) => value !== "session_affinity");
    for (const one of input.children())
      if (!kept.includes(one)) one.carry("gpubox:gateway.routing.affinitySeconds");
    if (kept.length > 0) {
      const to = draft.set(
        "gateway",
        ["settings", "router", input.name],
        kept.map(({ value }) => value),
      );
      for (const one of kept) one.carry(to, true);
    }
  },
  deployment_affinity_ttl_seconds: (input, about) => {
    const checks = about.section.at("optional_pre_call_checks")?.read(z.array(z.string())) ?? [];
    // Of keys, where LiteLLM keeps those to a server.
    if (checks.includes("deployment_affinity"))
      input.carry(about.draft.set("gateway", ["settings", "router", input.name], input.value));
    else under("routing", "affinitySeconds")(input, about);
  },
  provider_budget_config: (input, { draft }) => {
    for (const provider of input.children()) {
      const usd = provider.at("budget_limit");
      const per = provider.at("time_period");
      const keys = ["limits", "providerBudgets", provider.name];
      if (usd) usd.carry(draft.set("gateway", [...keys, "usd"], numeric(usd.value)));
      if (per) per.carry(draft.set("gateway", [...keys, "per"], per.value));
    }
  },
};

const GENERAL: Record<string, Write> = {
  master_key: (input, { draft, variables }) => {
    const reference = referenceOf(input);
    const value = resolvedText(input, variables);
    input.carry("gpubox:masterKey");
    draft.own("masterKey", {
      from: reference ? `the variable ${reference}` : "general_settings.master_key",
      value,
    });
  },
  pass_through_endpoints: passThrough,
  database_url: lost(DATABASE),
  database_connection_pool_limit: lost(INSTEAD),
  proxy_batch_write_at: lost(INSTEAD),
  use_redis_transaction_buffer: lost(INSTEAD),
  store_model_in_db: (input) => {
    if (input.value === false) input.carry("gpubox:models");
    else input.lose("models that were added in the UI are in the old database and not in this file");
  },
  maximum_spend_logs_retention_period: (input, { draft }) => {
    const days = /^(\d+)d$/.exec(textOf(input) ?? "")?.[1];
    if (days) input.carry(draft.set("database", ["spendLogs", "keepDays"], Number(days)));
  },
};

const SECTIONS: [theirs: string, ours: string, writers: Record<string, Write>][] = [
  // The router's own settings count where both sections have one.
  ["litellm_settings", "litellm", LITELLM],
  ["router_settings", "router", ROUTER],
  ["general_settings", "general", GENERAL],
];

/** Parts of the config that have places of their own in a stack. */
const READ = ["model_list", "environment_variables", "guardrails", ...SECTIONS.map(([theirs]) => theirs)];

/** Reads everything of a LiteLLM config but its models. What has no key of gpubox's own goes to `gateway.settings`. */
export function readSettings(config: Input, draft: Draft, variables: Variables): void {
  for (const [theirs, ours, writers] of SECTIONS) {
    const section = config.at(theirs)?.house("gpubox:gateway");
    for (const input of section?.children() ?? []) {
      const writer = Object.hasOwn(writers, input.name) ? writers[input.name] : undefined;
      if (input.value === null || (typeof input.value === "object" && input.children().length === 0))
        input.lose("it is empty");
      else if (writer) writer(input, { draft, variables, section: section! });
      else passOn(input, ours, draft);
    }
  }
  const guards = config.at("guardrails")?.house("gpubox:gateway");
  if (guards) guardrails(guards, { draft, variables });
  const own = config.at("environment_variables")?.house("gpubox:gateway");
  if (own) readVariables(own, draft, variables);
  for (const list of CALLBACK_LISTS) callbackVariables(config.at("litellm_settings", list), draft, variables);
  const database =
    config.at("general_settings", "database_url") !== undefined || variables.has("DATABASE_URL");
  if (!database) draft.set("database", ["mode"], "none");
  const redis = config.at("router_settings", "redis_host") ?? config.at("router_settings", "redis_url");
  const { cache } = draft.sections;
  const needsNone = cache === undefined || (cache.type === "local" && cache.mode === undefined);
  if (!redis && needsNone) draft.set("cache", ["mode"], "none");
  for (const section of config.children()) {
    const elsewhere = READ.includes(section.name) ? undefined : sectionElsewhere(section.name);
    if (elsewhere) section.lose(`${elsewhere.what} ${elsewhere.fix}`);
  }
}

/** What has no key of gpubox's own stays under LiteLLM's name, without keys in plain text: nothing there takes a secret. */
function passOn(input: Input, section: string, draft: Draft): void {
  const value = withoutSecrets(input);
  if (value !== undefined) input.carry(draft.set("gateway", ["settings", section, input.name], value), true);
  for (const one of plainSecrets(input)) one.drop(PLAIN);
}

const PLAIN =
  "it is a key in plain text, and gateway.settings take no secrets; where LiteLLM reads a variable for it too, write that into gateway.env";

/** Callbacks read variables that no config names. */
function callbackVariables(list: Input | undefined, draft: Draft, variables: Variables): void {
  const present = draft.sections.gateway?.env as Record<string, unknown> | undefined;
  for (const name of callbacksIn(list?.value).flatMap((one) => CALLBACK_VARIABLES[String(one)] ?? []))
    if (present?.[name] === undefined) {
      const value = variables.get(name);
      const given = isSecret(name) || value === undefined ? variableSecret(name, draft, variables) : value;
      draft.set("gateway", ["env", name], given);
    }
}

/** Reads the environment of a gateway. */
export function readVariables(env: Input, draft: Draft, variables: Variables): void {
  for (const input of env.children()) readVariable(input, draft, variables);
}

/** Variables that the models' keys come from belong to the models; the others are the gateway's. */
function readVariable(input: Input, draft: Draft, variables: Variables): void {
  const { name } = input;
  const used = [...draft.secrets].find(([, { from }]) => from === `the variable ${name}`)?.[0];
  if (used) input.carry(`gpubox:${used}`);
  else if (["LITELLM_MASTER_KEY", "PROXY_MASTER_KEY"].includes(name)) {
    draft.own("masterKey", { from: `the variable ${name}`, value: resolvedText(input, variables) });
    input.carry("gpubox:masterKey");
  } else if (input.value === null || input.value === "") input.lose("it is empty");
  else if (Object.hasOwn(OWNED_VARIABLES, name)) input.lose(`gpubox sets it from ${OWNED_VARIABLES[name]}`);
  else if (isSecret(name) || isPlainSecret(name, input.value)) {
    const secret = referenceOf(input)
      ? keyOf(input, draft, variables, name)
      : draft.secret(name, { from: `the variable ${name}`, value: textOf(input) });
    input.carry(draft.set("gateway", ["env", name], secret));
  } else {
    const value = resolvedText(input, variables);
    if (value !== undefined) input.carry(draft.set("gateway", ["env", name], value));
    else input.lose("the variable that it names is not set here");
  }
}

/** A budget of the gateway is a sum and a period. */
function budget(input: Input, about: About & { section: Input }): void {
  const other = input.name === "max_budget" ? "budget_duration" : "max_budget";
  if (about.section.at(other) === undefined) input.lose(`there is no ${other} beside it`);
  else under("limits", "budget", input.name === "max_budget" ? "usd" : "per")(input, about);
}

function fallbacksInto(kind: string): Write {
  return (input, { draft }) => {
    for (const map of input.children())
      for (const one of map.children()) {
        const to = one.read(z.array(z.string()).min(1));
        if (to) one.carry(draft.set("gateway", ["routing", kind, one.name], to), true);
      }
  };
}

function cacheParams(input: Input, { draft }: About): void {
  const type = textOf(input.at("type")) ?? "redis";
  input.house("gpubox:cache");
  if (type !== "redis" && type !== "local") {
    input.lose(`gpubox caches in Redis or in a gateway's memory, and not in ${type}`);
    return;
  }
  const ttl = input.at("ttl")?.read(z.number().positive());
  if (ttl === undefined) draft.remark("gpubox:cache.ttlSeconds", "The old cache had no ttl of its own.");
  const to = draft.set("cache", ["ttlSeconds"], ttl ?? 3600);
  if (ttl !== undefined) input.at("ttl")!.carry(to);
  input.at("type")?.carry(type === "local" ? draft.set("cache", ["type"], "local") : "gpubox:cache.type");
  const namespace = textOf(input.at("namespace"));
  if (namespace) input.at("namespace")!.carry(draft.set("cache", ["namespace"], namespace));
  if (input.at("mode")?.value === "default_off") input.at("mode")!.carry(draft.set("cache", ["optIn"], true));
  const calls = input.at("supported_call_types");
  const kinds = calls?.read(z.array(z.string()));
  if (kinds) {
    const ours = Object.entries(CACHED_CALLS).filter(([, theirs]) =>
      theirs.some((one) => kinds.includes(one)),
    );
    const to = draft.set(
      "cache",
      ["calls"],
      ours.map(([kind]) => kind),
    );
    for (const one of calls!.children())
      if (ours.some(([, theirs]) => theirs.some((name) => name === one.value))) one.carry(to);
  }
  for (const key of ["host", "port", "password", "url", "redis_startup_nodes", "ssl"])
    input.at(key)?.lose(STORE);
}

/** A text that a program reads as a number or a truth value, as that. */
function plainValue(value: unknown): unknown {
  const text = String(value).toLowerCase();
  return text === "true" || text === "false" ? text === "true" : numeric(value);
}

function numeric(value: unknown): unknown {
  return typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}
