import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt, labelFilters } from "../docker/client";
import { type RunResult, UserError } from "../process";
import { asset } from "../stack/assets";
import { edgeGateways } from "./edge";

/** Timeout in milliseconds for a script inside a gateway. */
const SCRIPT_MS = 120_000;

/** Container name of a serving gateway, or otherwise of a running one. */
export async function servingGateway(box: BoxPlan): Promise<string | undefined> {
  const serving = (await edgeGateways(box))?.find(({ state }) => state === "serving");
  if (serving) return serving.gateway;
  const filters = labelFilters([`gpubox.stack=${box.stack}`, "gpubox.role=gateway"]);
  const { stdout } = await dockerAt(box.docker).run(["ps", "--format", "{{.Names}}", ...filters]);
  return stdout.split("\n").find(Boolean);
}

/**
 * Runs a Python script of assets/gateway/ inside a gateway, in LiteLLM's environment. Secrets stay in the container, so
 * `env` must contain none.
 */
export function inGateway(
  { box, gateway }: { box: BoxPlan; gateway: string },
  script: string,
  env: Record<string, string>,
  timeoutMs = SCRIPT_MS,
): Promise<RunResult> {
  const text = asset(`gateway/${script}`);
  const command = "set -a; . /etc/gpubox/gateway.env; set +a; exec python3 -";
  return dockerAt(box.docker).exec(gateway, ["sh", "-c", command], { stdin: text, timeoutMs, env });
}

/** @throws UserError when none runs */
export async function requireGateway(box: BoxPlan): Promise<string> {
  const gateway = await servingGateway(box);
  if (gateway) return gateway;
  throw new UserError(
    `No gateway of the stack ${box.stack} runs.`,
    `Run \`gpubox doctor --stack ${box.stack}\`, or \`gpubox up --stack ${box.stack}\`.`,
  );
}
