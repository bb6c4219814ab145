import type { Problem } from "../kit/problems";
import { urlProblems } from "../network/url";
import type { SecretFacts } from "../secrets/facts";
import { storeExample } from "../secrets/storeUrl";
import type { StackConfig } from "../stack/config";

/** Mistakes in the observability section that need the rest of the config to be seen. */
export function checkObservability({ observability }: StackConfig, secrets: SecretFacts): Problem[] {
  const { langfuse } = observability;
  return [
    ...checkAlerts(observability, secrets),
    ...(langfuse
      ? urlProblems(langfuse.host, "gpubox:observability.langfuse.host", {
          kind: "root",
          gateway: true,
          login: "Leave it out: publicKey and secretKey name the keys.",
        })
      : []),
  ];
}

function checkAlerts(observability: StackConfig["observability"], secrets: SecretFacts): Problem[] {
  const { webhook } = observability.alerts;
  const unfit = webhook && secrets[webhook.secret]?.unfitAs?.webhook;

  if (observability.mode === "none" && observability.alerts.webhook)
    return [
      {
        path: "gpubox:observability.alerts.webhook",
        what: "With mode: none nothing raises alerts.",
        fix: "Write mode: bundled, or remove it.",
        judgedBy: { paths: ["gpubox:observability.mode"] },
      },
    ];
  if (!unfit) return [];
  return [
    {
      path: "gpubox:observability.alerts.webhook",
      what: `The secret ${webhook.secret} ${unfit}.`,
      fix: `Set ${storeExample("webhook")}: pulumi config set --secret gpubox:${webhook.secret}.`,
    },
  ];
}
