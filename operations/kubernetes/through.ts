import type { BoxPlan } from "../../configs/kit/types";
import { EDGE_SERVICE } from "../../configs/plan/cluster";
import { ADMIN_PORT } from "../../configs/plan/haproxy/edge";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import { clusterEndpoint } from "../../configs/plan/kubernetes/target";
import type { StackConfig } from "../../configs/stack/config";
import type { BoxWays } from "../../platform/box/ways";
import { type Forward, forward } from "../../platform/kubernetes/forward";
import { type RunResult, UserError } from "../../platform/process";
import { clusterAt, kubectlWords, notAnswered } from "./ask";
import { lastWords } from "./unreached";

/** kubectl's words where nothing runs behind the Service. */
const NO_POD = /pod is not running|timed out waiting for the condition|no pods? |not found|NotFound/i;

/**
 * Does something with a box on a cluster through its edge's Services, and ends the ways to them after it.
 *
 * @throws UserError where the cluster does not answer, or no edge runs there
 */
export async function throughEdge<Result>(
  plan: BoxPlan,
  { gateway }: StackConfig,
  use: (ways: BoxWays) => Promise<Result>,
): Promise<Result> {
  const open: Forward[] = [];
  const reach = async (service: string, port: number) => {
    const made = await forward(clusterAt(plan), service, port);
    if (!("close" in made)) throw notForwarded(plan, made);
    open.push(made);
    return { address: "127.0.0.1", port: made.port };
  };
  const { port } = clusterOf(plan);
  try {
    const clients = await reach(EDGE_SERVICE, port);
    const named = gateway.hosts[0];
    const secure =
      named === undefined ? clusterEndpoint(plan) : `https://${named}${port === 443 ? "" : `:${port}`}`;
    return await use({
      endpoint: gateway.tls ? secure : `http://127.0.0.1:${clients.port}`,
      clients,
      admin: async () => `http://127.0.0.1:${(await reach(`${EDGE_SERVICE}-admin`, ADMIN_PORT)).port}`,
    });
  } finally {
    for (const { close } of open) close();
  }
}

function notForwarded(plan: BoxPlan, answer: RunResult): UserError {
  const cluster = clusterAt(plan);
  const said = lastWords(answer);
  if (answer.code !== 127 && NO_POD.test(said) && !/context/.test(said))
    return new UserError(
      `No edge of the stack ${plan.stack} runs in the namespace ${cluster.namespace}: ${said}.`,
      `Look at it (${kubectlWords(cluster)} get pods --selector gpubox.role=edge), or run \`gpubox up --stack ${plan.stack}\`.`,
    );
  return notAnswered(cluster, answer);
}
