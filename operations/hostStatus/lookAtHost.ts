import { shellQuote } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { connectionOf, dockerHostName } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { StackConfig } from "../../configs/stack/config";
import { run, UserError } from "../../platform/process";
import { connectSsh, disconnectHost, sshArguments } from "../../platform/ssh/connection";
import { asset } from "../../platform/stack/assets";
import { type HostStatus, hostStatus } from "./status";
import { parseStatus, type StatusFacts } from "./statusFacts";

/** Timeout in milliseconds for a look. The questions to the host have shorter ones of their own. */
const LOOK_MS = 30_000;

/** Looks at a host once; `signal` gives up. */
export type HostLook = (signal?: AbortSignal) => Promise<HostStatus>;

/**
 * Makes a look at a stack's host: one script there, which changes nothing and needs no engine that answers. A connection that broke
 * silently is opened again.
 *
 * The look throws a UserError when the host cannot be reached or does not answer.
 */
export function hostLook(projectDir: string, config: StackConfig, box: BoxPlan): HostLook {
  const { docker, dataDir } = config.host;
  const script = asset("host/status.sh");
  const socket = sshAddress(docker)?.socket;
  const ask = ["sh", "-c", script, "gpubox", box.stack, dataDir, socket ? `unix://${socket}` : docker];
  const host = dockerHostName(docker);
  return async (signal) => {
    connectSsh(projectDir, config);
    let facts = await answerTo(ask, connectionOf(box.docker));
    if (!facts && connectionOf(box.docker) && !signal?.aborted) {
      disconnectHost(config);
      connectSsh(projectDir, config);
      facts = await answerTo(ask, connectionOf(box.docker));
    }
    if (facts) return hostStatus(config, box, host, facts);
    throw new UserError(
      `${host} does not answer: nothing within ${LOOK_MS / 1000} s, or not the whole.`,
      `Run \`gpubox doctor --stack ${box.stack}\` to see how far it gets.`,
    );
  };
}

async function answerTo(ask: string[], connection: string | undefined): Promise<StatusFacts | undefined> {
  const [program, ...args] = connection
    ? ["ssh", ...sshArguments(connection), ask.map(shellQuote).join(" ")]
    : ask;
  const { stdout } = await run(program!, args, { timeoutMs: LOOK_MS });
  return parseStatus(stdout);
}
