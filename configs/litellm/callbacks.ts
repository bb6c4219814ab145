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

/** Of those, what is a key or a password: it has to come from a secret. */
export function isSecretVariable(name: string): boolean {
  return /(KEY|SECRET|TOKEN|PASSWORD|DSN)$/.test(name) && !name.endsWith("PUBLIC_KEY");
}

/** Settings of litellm_settings that list callbacks. */
export const CALLBACK_LISTS = ["callbacks", "success_callback", "failure_callback", "service_callback"];
