import type { Problem } from "../kit/problems";
import { urlProblems } from "../network/url";
import type { StackConfig } from "../stack/config";

/** Mistakes in the observability section that need the rest of the config to be seen. */
export function checkObservability({ observability }: StackConfig): Problem[] {
  const { langfuse } = observability;
  return [
    ...checkAlerts(observability),
    ...(langfuse
      ? urlProblems(langfuse.host, "gpubox:observability.langfuse.host", {
          kind: "root",
          gateway: true,
          login: "Leave it out: publicKey and secretKey name the keys.",
        })
      : []),
  ];
}

function checkAlerts(observability: StackConfig["observability"]): Problem[] {
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
