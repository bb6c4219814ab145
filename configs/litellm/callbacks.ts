import { nearest, type Problem } from "../kit/problems";
import known from "./keys.json";
import { type ModuleTexts, memberProblem } from "./modules";

/** Variables without which a callback of LiteLLM sends nothing, or fails at the first request. */
export const CALLBACK_VARIABLES: Record<string, string[]> = {
  langfuse: ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"],
  langfuse_otel: ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"],
  langsmith: ["LANGSMITH_API_KEY"],
  datadog: ["DD_API_KEY", "DD_SITE"],
  datadog_llm_observability: ["DD_API_KEY", "DD_SITE"],
  helicone: ["HELICONE_API_KEY"],
  braintrust: ["BRAINTRUST_API_KEY"],
  opik: ["OPIK_API_KEY"],
  logfire: ["LOGFIRE_TOKEN"],
  lago: ["LAGO_API_KEY"],
  posthog: ["POSTHOG_API_KEY"],
  openmeter: ["OPENMETER_API_KEY"],
  sentry: ["SENTRY_DSN"],
  slack: ["SLACK_WEBHOOK_URL"],
  generic_api: ["GENERIC_LOGGER_ENDPOINT"],
};

/** The variables among them that hold a key or password, and so must come from a secret. */
export function isSecretVariable(name: string): boolean {
  return /(KEY|SECRET|TOKEN|PASSWORD|DSN)$/.test(name) && !name.endsWith("PUBLIC_KEY");
}

/** Settings of litellm_settings that list callbacks. */
export const CALLBACK_LISTS = [
  "callbacks",
  "success_callback",
  "failure_callback",
  "service_callback",
  "audit_log_callbacks",
  "input_callback",
  "cold_storage_custom_logger",
];

/** Callbacks for LiteLLM's own service metrics. */
const SERVICES = ["prometheus_system"];

/** The names in one of the lists of `CALLBACK_LISTS`. LiteLLM takes a single one too. */
export function callbacksIn(list: unknown): unknown[] {
  return Array.isArray(list) ? list : list === undefined || list === null ? [] : [list];
}

/** Lists of which LiteLLM imports what has a dot in its name. */
export const MODULE_LISTS = ["callbacks", "success_callback", "failure_callback"];

/**
 * Callbacks that are not LiteLLM's own. It would import and call them as Python code, for example `os.system`.
 *
 * @param modules texts of the user's own modules, by name. Default: there can be none here.
 */
export function foreignCallbacks(list: unknown, path: string, modules?: ModuleTexts): Problem[] {
  const names = [...known.callbacks, ...SERVICES];
  return callbacksIn(list).flatMap((callback, index) => {
    if (typeof callback === "string" && names.includes(callback)) return [];
    const at = Array.isArray(list) ? `${path}[${index}]` : path;
    const near = typeof callback === "string" ? nearest(callback, names) : undefined;
    const own = near === undefined && modules ? memberProblem(callback, modules) : undefined;
    if (own === "held") return [];
    if (own) return [{ path: at, ...own }];
    return [
      {
        path: at,
        what: `LiteLLM ${known.version} has no callback of this name, and would run it as Python code.`,
        fix: near ? `Did you mean "${near}"?` : "Use one of LiteLLM's own callbacks, or remove it.",
      },
    ];
  });
}
