import type { Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";

/** Mistakes in the observability section that need the rest of the config to be seen. */
export function checkObservability({ observability }: StackConfig): Problem[] {
  if (observability.mode === "none" && observability.alerts.webhook)
    return [
      {
        path: "gpubox:observability.alerts.webhook",
        what: "With mode: none nothing raises alerts.",
        fix: "Write mode: bundled, or remove it.",
        judgedBy: { paths: ["gpubox:observability.mode"] },
      },
    ];
  return [];
}
