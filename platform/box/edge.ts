import { z } from "zod";
import type { BoxPlan } from "../../configs/kit/types";
import { run } from "../process";

const upstreamState = z.enum(["serving", "down", "draining"]);

/** A gateway as the edge sees it. */
export interface UpstreamFacts {
  gateway: string;
  state: "serving" | "down" | "draining";
  requests: number;
}

/** The edge's own view of each gateway; undefined where the edge does not answer in time, by default 20 s. */
export async function edgeGateways(
  { docker, prefix, edge }: BoxPlan,
  timeoutMs = 20_000,
): Promise<UpstreamFacts[] | undefined> {
  const container = `${prefix}-${edge.container.name}`;
  const args = ["-H", docker, "exec", container, "bash", "/etc/gpubox/switch.sh", "--status"];
  const { code, stdout } = await run("docker", args, { timeoutMs });
  if (code !== 0) return undefined;
  return stdout.split("\n").flatMap((line) => {
    const [, gateway, word, requests] = line.split(" ");
    const known = upstreamState.safeParse(word);
    return gateway && known.success ? [{ gateway, state: known.data, requests: Number(requests) }] : [];
  });
}
