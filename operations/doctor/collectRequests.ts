import type { BoxPlan } from "../../configs/kit/types";
import { PROBE } from "../../configs/network/endpoint";
import { dockerAt } from "../../platform/docker/client";
import { readLog, UnreadableLog } from "../../platform/docker/logs";
import type { Facts } from "./facts";
import { parseRequest } from "./requests";
import { ENGINE_MS } from "./timeLimits";

/** How a gateway refuses an unknown model; see LiteLLM's route_llm_request.py. */
const UNKNOWN_MODEL = /Invalid model name passed in model=([^\s"\\]{1,128}?)\. Call/g;

/** Reads the logs of edge and gateways from `since` on, which is a duration (`15m`) or a date, as Docker takes them. */
export async function readRecentLogs(
  box: BoxPlan,
  gateways: string[],
  since: string,
): Promise<Pick<Facts, "requests" | "unknownModels" | "unreadLogs">> {
  const unread: string[] = [];
  const log = async (container: string) => {
    try {
      const { lines, gap } = await readLog(dockerAt(box.docker), container, { since, timeoutMs: ENGINE_MS });
      if (gap) unread.push(`Docker cannot read a part of the log of ${container}, as after a power cut`);
      return lines.map((line) => line.slice(line.indexOf(" ") + 1));
    } catch (error) {
      if (!(error instanceof UnreadableLog)) throw error;
      unread.push(`The log of ${container} cannot be read: ${error.message}`);
      return undefined;
    }
  };
  const [edge, ...others] = await Promise.all([`${box.prefix}-edge`, ...gateways].map(log));
  const known = others.filter((lines) => lines !== undefined);
  return {
    requests: edge?.map(parseRequest).filter((one) => one !== undefined),
    unknownModels: known.length > 0 ? [...new Set(known.flat().flatMap(namesIn))] : undefined,
    ...(unread.length > 0 ? { unreadLogs: unread } : {}),
  };
}

/** Names of models in a gateway's line that it did not know. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(UNKNOWN_MODEL)].map(([, name]) => name!).filter((name) => name !== PROBE);
}
