import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { dockerAt } from "../docker/client";

const gatewayState = z.enum(["serving", "down", "draining"]);

/** A gateway as the edge sees it. */
export interface GatewayStatus {
  gateway: string;
  state: "serving" | "down" | "draining";
  requests: number;
}

/** Each gateway as the edge sees it; undefined when the edge does not answer in time, by default within 20 s. */
export async function edgeGateways(
  { docker, prefix, edge }: BoxPlan,
  timeoutMs = 20_000,
): Promise<GatewayStatus[] | undefined> {
  const container = `${prefix}-${edge.container.name}`;
  const status = ["bash", "/etc/gpubox/switch.sh", "--status"];
  const { code, stdout } = await dockerAt(docker).exec(container, status, { timeoutMs });
  return code === 0 ? gatewaysIn(stdout) : undefined;
}

/** The gateways in what `switch.sh --status` prints. */
export function gatewaysIn(stdout: string): GatewayStatus[] {
  return stdout.split("\n").flatMap((line) => {
    const [, gateway, word, requests] = line.split(" ");
    const known = gatewayState.safeParse(word);
    return gateway && known.success ? [{ gateway, state: known.data, requests: Number(requests) }] : [];
  });
}
