import { isLoopback, isPrivate } from "../network/addresses";
import type { GatewayConfig } from "../schema/gateway";
import type { SettingsSection } from "./owned";

interface Danger {
  /** `env`: gpubox:gateway.env. */
  section: SettingsSection | "env";
  key: string;
  /** True where this value is one in this stack. */
  when: (value: unknown, config: { gateway: GatewayConfig }) => boolean;
  why: string;
  fix: string;
}

const always = () => true;
const on = (value: unknown) => isOn(value);

/** LiteLLM reads environment variables as text. */
function isOn(value: unknown): boolean {
  return value === true || (typeof value === "string" && ["true", "1", "yes"].includes(value.toLowerCase()));
}

/** Settings that LiteLLM accepts and that break what a box promises, one per row. */
export const DANGERS: Danger[] = [
  {
    section: "general",
    key: "allow_requests_on_db_unavailable",
    when: (value, { gateway }) => isOn(value) && !isLoopback(gateway.bind) && !isPrivate(gateway.bind),
    why: "While the database is away, LiteLLM lets everybody in, whatever key they send.",
    fix: "Bind the gateway to loopback or to a private address, or remove it.",
  },
  {
    section: "general",
    key: "dangerously_permit_weak_or_unset_master_key",
    when: on,
    why: "LiteLLM would start with sk-1234 or with no master key at all, and everybody is admin.",
    fix: "Remove it; the secret gpubox:masterKey is made by `gpubox up`.",
  },
  {
    section: "env",
    key: "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY",
    when: always,
    why: "LiteLLM would start with sk-1234 or with no master key at all, and everybody is admin.",
    fix: "Remove it; the secret gpubox:masterKey is made by `gpubox up`.",
  },
  ...["max_in_flight_requests_per_worker", "max_queued_requests_per_worker"].map(
    (key): Danger => ({
      section: "general",
      key,
      when: always,
      why: "LiteLLM's admission control answers 503 to requests that the edge has sent already, also during a switch.",
      fix: "Use gpubox:gateway.limits.maxParallel: the edge answers 429 before it sends anything.",
    }),
  ),
  {
    section: "general",
    key: "background_health_checks",
    when: on,
    why: "Each check is a real generation on every model, in every gateway: it costs money and disturbs benchmarks.",
    fix: "Remove it; valves ask local backends without generating.",
  },
  {
    section: "general",
    key: "proxy_batch_write_at",
    when: (value) => typeof value === "number" && value >= 60,
    why: "Spend is written so late that budgets are overspent by what a minute costs.",
    fix: "Write less than 60.",
  },
  ...["max_requests_before_restart", "MAX_REQUESTS_BEFORE_RESTART"].map(
    (key): Danger => ({
      section: key === key.toUpperCase() ? "env" : "general",
      key,
      when: always,
      why: "A gateway that restarts itself drops its running requests.",
      fix: "Remove it; a new generation (`gpubox up` after a change) replaces a gateway without a lost request.",
    }),
  ),
  {
    section: "env",
    key: "NUM_WORKERS",
    when: (value) => value !== "1",
    why: "A drain reaches one worker only: the requests of the others would be cut at each change.",
    fix: "Use gpubox:gateway.replicas.",
  },
  {
    section: "env",
    key: "LEGACY_MULTI_INSTANCE_RATE_LIMITING",
    when: always,
    why: "The former limiter counts in each gateway for itself.",
    fix: "Remove it.",
  },
  {
    section: "env",
    key: "LITELLM_USE_CHAT_COMPLETIONS_URL_FOR_ANTHROPIC_MESSAGES",
    when: (value) => !isOn(value),
    why: 'LiteLLM takes any text as true, even "false".',
    fix: "Remove it, or write true.",
  },
];
