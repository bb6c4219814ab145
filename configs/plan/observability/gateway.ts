import { shellQuote, type TextPart } from "../../kit/text";
import type { StackConfig } from "../../stack/config";
import { GUARD_CALLBACK } from "../guard";
import { TRAJECTORY_CALLBACK } from "../trajectories";

/** Name by which Prometheus finds every gateway that runs, whichever generation it is of. */
export const GATEWAYS_ALIAS = "gateways";

/** LiteLLM's callbacks: those of the stack's own settings, the guard of bodies, and what metrics, traces and trajectories need. */
export function callbackSettings(
  { gateway, observability }: StackConfig,
  guard: boolean,
): { callbacks?: unknown[] } {
  const needed = [
    // Before the log, which stands in front of what was there: what is refused is logged too.
    ...(guard ? [GUARD_CALLBACK] : []),
    ...(observability.mode === "bundled" ? ["prometheus"] : []),
    // By OpenTelemetry: Langfuse's own callback needs its SDK, and sends the same.
    ...(observability.langfuse ? ["langfuse_otel"] : []),
    ...(gateway.trajectories ? [TRAJECTORY_CALLBACK] : []),
  ];
  if (needed.length === 0) return {};
  const { callbacks = [] } = gateway.settings.litellm;
  const own: unknown[] = Array.isArray(callbacks) ? callbacks : [callbacks];
  return { callbacks: [...new Set([...own, ...needed])] };
}

/** Environment variables by which the gateway reaches Langfuse. */
export function langfuseVariables({ observability }: StackConfig): Record<string, TextPart[]> {
  const { langfuse } = observability;
  if (!langfuse) return {};
  return {
    LANGFUSE_OTEL_HOST: [shellQuote(langfuse.host)],
    LANGFUSE_PUBLIC_KEY: [{ secret: langfuse.publicKey.secret, as: "shell" }],
    LANGFUSE_SECRET_KEY: [{ secret: langfuse.secretKey.secret, as: "shell" }],
  };
}
