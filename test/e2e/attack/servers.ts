import { join } from "node:path";
import { output } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import type { TestProject } from "../../support/project";
import { until } from "../../support/wait";

/** The host that no request may reach. Providers' names resolve to it too, so that no attack leaves this machine. */
export const CANARY = "canary.test";
export const PROVIDERS = [
  ...["api.openai.com", "api.anthropic.com", "inference.baseten.co", "bridge.baseten.co", "openrouter.ai"],
  ...["api.groq.com", "api.mistral.ai", "api.together.xyz", "api.cohere.com", "api.deepseek.com"],
  ...["generativelanguage.googleapis.com", "oauth2.googleapis.com", "metadata.google.internal"],
  ...["sts.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com", "login.microsoftonline.com"],
  ...[
    "huggingface.co",
    "api-inference.huggingface.co",
    "raw.githubusercontent.com",
    "api.smith.langchain.com",
  ],
  ...["cloud.langfuse.com", "us.cloud.langfuse.com", "app.posthog.com", "hooks.slack.com"],
];
export const CANARY_PORTS = ["80", "443", "3000", "8000", "8080", "11434"];

/** A request as the upstream or the canary received it. */
export interface Kept {
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

/**
 * Starts attackServer.py on the network through which gateways reach the outside.
 *
 * @returns the URL at which it lists the requests it received
 */
export async function startServer(
  { dir }: TestProject,
  stack: string,
  role: "upstream" | "canary",
  ports: string[],
  aliases: string[],
): Promise<string> {
  const name = `gpubox-${stack}-${role}`;
  await output("docker", [
    ...["run", "--detach", "--name", name, "--network", `gpubox-${stack}-edge`],
    ...aliases.flatMap((alias) => ["--network-alias", alias]),
    ...["--publish", "127.0.0.1::9000", "--sysctl", "net.ipv4.ip_unprivileged_port_start=0"],
    // The first label lets the test's cleanup find it; the last one makes `gpubox up` leave it alone.
    ...["--label", `gpubox.stack=${stack}`, "--label", `gpubox.role=${role}`, "--label", "gpubox.keep=test"],
    ...["--user", "65534:65534", "--entrypoint", "python3"],
    ...["--volume", `${join(dir, "test", "support", "attackServer.py")}:/server.py:ro`],
    ...[recipeReference(dir, "gateway"), "/server.py", role, ...ports],
  ]);
  const url = `http://${await output("docker", ["port", name, "9000/tcp"])}`;
  const asked = () => fetch(url, { signal: AbortSignal.timeout(5_000) });
  await until(
    `${name} listens`,
    () =>
      asked().then(
        ({ ok }) => ok,
        () => false,
      ),
    { seconds: 60 },
  );
  return url;
}
