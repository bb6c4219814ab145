import type { Problem } from "../kit/problems";

/** A setting that lets something other than the router decide where a request goes, who may send it, or which code runs. */
interface Steering {
  keys: string[];
  /** True where this value is one. */
  when: (value: unknown) => boolean;
  why: string;
  fix: string;
}

/** LiteLLM reads environment variables as text, and takes nearly every text as true. */
const on = (value: unknown) => value === true || (typeof value === "string" && !isNo(value));
const off = (value: unknown) =>
  value !== true && !(typeof value === "string" && /^(true|1|yes)$/i.test(value));
const always = () => true;

function isNo(text: string): boolean {
  return /^(false|0|no|off|)$/i.test(text.trim());
}

/**
 * Settings that let requests bypass a gateway's router. LiteLLM reads some of them in several sections, in a model's parameters
 * and deep inside other values, so they are refused wherever they stand, in upper or lower case.
 */
export const STEERING: Steering[] = [
  {
    keys: ["allow_client_side_credentials", "configurable_clientside_auth_params"],
    when: (value) => (Array.isArray(value) ? value.length > 0 : on(value)),
    why: "Clients could name the address that the gateway sends to, and the key that it sends.",
    fix: "Remove it; declare each server under gpubox:models.",
  },
  {
    keys: ["user_url_validation"],
    when: off,
    why: "Clients could make the gateway fetch any address that it reaches, also those of this host and its network.",
    fix: "Remove it.",
  },
  {
    keys: ["user_url_allowed_hosts", "provider_url_destination_allowed_hosts"],
    when: (value) => !Array.isArray(value) || value.length > 0,
    why: "Clients could make the gateway ask these hosts, although only it may reach them.",
    fix: "Remove it; clients can send a file as a data: URL.",
  },
  {
    keys: ["forward_llm_provider_auth_headers"],
    when: on,
    why: "A client's own key would go to the server in place of the declared one.",
    fix: "Remove it.",
  },
  {
    keys: ["disable_responses_id_security", "allow_unmanaged_response_ids"],
    when: on,
    why: "A client that learns the id of somebody else's response could read and continue it.",
    fix: "Remove it.",
  },
  {
    keys: ["public_routes"],
    when: always,
    why: "Everybody could use these routes without a key.",
    fix: "Remove it.",
  },
  {
    keys: ["enable_oauth2_proxy_auth", "enable_oauth2_auth", "oauth2_config_mappings", "allow_user_auth"],
    when: (value) => (typeof value === "object" && value !== null ? true : on(value)),
    why: "It admits requests without a key of this box.",
    fix: "Remove it and use keys.",
  },
  {
    keys: ["pass_through_endpoints"],
    when: always,
    why: "Such a route goes past the models, their limits and their keys to an address of its own.",
    fix: "Use gpubox:gateway.passThrough, which opens exactly the declared routes, or declare the server under gpubox:models.",
  },
  {
    keys: ["guardrails", "guardrail_list"],
    when: always,
    why: "It decides which guardrails run, and which code that is.",
    fix: "Use gpubox:gateway.guardrails, which every request passes.",
  },
  {
    keys: ["enable_openai_websocket_passthrough", "enable_claude_code_gateway"],
    when: on,
    why: "It opens routes that go past the models and their limits.",
    fix: "Remove it.",
  },
  {
    keys: ["control_plane_url"],
    when: always,
    why: "Another server could log people into this gateway.",
    fix: "Remove it.",
  },
  {
    keys: ["custom_auth", "custom_sso", "custom_ui_sso_sign_in_handler", "custom_validate"],
    when: always,
    why: "It replaces LiteLLM's check of keys by code that is not part of a generation.",
    fix: "Remove it and use keys.",
  },
  {
    keys: [
      ...["custom_key_generate", "custom_key_update", "custom_key_policy", "custom_team_metadata_validate"],
      ...[
        "custom_provider_map",
        "custom_handler",
        "custom_secret_manager",
        "pre_call_rules",
        "post_call_rules",
      ],
      ...["plugins", "classifier_plugin"],
    ],
    when: always,
    why: "It names Python code that the gateway would run, with every key in its reach.",
    fix: "Remove it.",
  },
  {
    keys: [
      "key_management_system",
      "key_management_settings",
      "use_azure_key_vault",
      "use_google_kms",
      "secret_manager_client",
    ],
    when: always,
    why: "Keys would come from, and go to, a place that neither the config nor a preview shows.",
    fix: "Remove it; put keys into secrets of the stack.",
  },
  {
    keys: ["api_base", "base_url"],
    when: always,
    why: "Models without an address of their own would be asked there, with their own keys.",
    fix: "Write apiBase or baseUrl of the model.",
  },
  {
    keys: ["use_litellm_proxy", "litellm_proxy_api_base"],
    when: on,
    why: "Every request would go to another LiteLLM, whatever its model says.",
    fix: "Remove it; name the other gateway under gpubox:boxes, or in the model's baseUrl.",
  },
];

/** Variables by which a program loads other code or another config, or looks for it elsewhere. */
const LOADERS =
  /^(PYTHON[A-Z0-9_]*|LD_[A-Z0-9_]*|BASH_ENV|ENV|IFS|SHELLOPTS|NODE_OPTIONS|OPENSSL_CONF|OPENSSL_MODULES|OPENSSL_ENGINES|GCONV_PATH|LITELLM_CONFIG_BUCKET_[A-Z_]*|LITELLM_CONFIG|WORKER_CONFIG|LITELLM_OIDC_ALLOWED_CREDENTIAL_DIRS|LITELLM_CONTENT_FILTER_ALLOW_EXTERNAL_PATHS)$/;

/** Why a variable of this name is refused in a gateway's environment; undefined when it is allowed. */
export function loads(name: string): Pick<Problem, "what" | "fix"> | undefined {
  if (!LOADERS.test(name)) return undefined;
  return { what: `${name} decides what code or which config the gateway loads.`, fix: "Remove it." };
}

/** Every setting at or below `value` that steers a gateway, with its path. `key`: what the value itself is called. */
export function steering(value: unknown, path: string, key = ""): Problem[] {
  const name = key.toLowerCase();
  const found = STEERING.find(({ keys, when }) => keys.includes(name) && when(value));
  if (found) return [{ path, what: `${key}: ${found.why}`, fix: found.fix }];
  if (Array.isArray(value)) return value.flatMap((inner, index) => steering(inner, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([inner, below]) => steering(below, `${path}.${inner}`, inner));
}
