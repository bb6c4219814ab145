import type { BoxPlan } from "../../configs/kit/types";
import { PROBE } from "../../configs/network/endpoint";
import type { Facts } from "./facts";
import { parseRequest } from "./requests";
import { ask } from "./timeLimits";

/** How a gateway refuses an unknown model; see LiteLLM's route_llm_request.py. */
const UNKNOWN_MODEL = /Invalid model name passed in model=([^\s"\\]{1,128}?)\. Call/g;

/** Reads the logs of edge and gateways from `since` on, which is a duration (`15m`) or a date, as Docker takes them. */
export async function readRecentLogs(
  box: BoxPlan,
  gateways: string[],
  since: string,
): Promise<Pick<Facts, "requests" | "unknownModels">> {
  const log = async (container: string) => {
    const { code, stdout, stderr } = await ask(box, ["logs", "--since", since, container]);
    return code === 0 ? stdout + stderr : undefined;
  };
  const [edge, ...texts] = await Promise.all([`${box.prefix}-edge`, ...gateways].map(log));
  const known = texts.filter((text) => text !== undefined);
  return {
    requests: edge
      ?.split("\n")
      .map(parseRequest)
      .filter((one) => one !== undefined),
    unknownModels: known.length > 0 ? [...new Set(known.flatMap(namesIn))] : undefined,
  };
}

function namesIn(text: string): string[] {
  return [...text.matchAll(UNKNOWN_MODEL)].map(([, name]) => name!).filter((name) => name !== PROBE);
}
