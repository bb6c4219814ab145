import { shellQuote, type TextPart } from "../kit/text";
import type { GatewayConfig } from "../schema/gateway";

/** Variables that send HTTP through a proxy. */
const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/** Names that no proxy outside the box could reach: the process itself, the host, and the stores. */
const OWN_NAMES = ["localhost", "127.0.0.1", "::1", "host.docker.internal", "cache", "database"];

/** True where the gateways' requests to servers may go through a proxy. */
export function namesProxy(variables: GatewayConfig["env"]): boolean {
  return PROXIES.some((name) => Object.hasOwn(variables, name));
}

/**
 * The variables that keep a proxy from what is in the box; none where no proxy is named. Programs read either case of the
 * name, and some only one.
 *
 * @param variables that the config adds
 * @param addresses of servers; those of valves are the box's own
 */
export function proxyBypass(
  variables: GatewayConfig["env"],
  addresses: (string | undefined)[],
): Record<string, TextPart[]> {
  if (!namesProxy(variables)) return {};
  const valves = addresses
    .map((address) => (address && URL.canParse(address) ? new URL(address).hostname : ""))
    .filter((host) => host.startsWith("valve-"));
  const own = [...new Set([...OWN_NAMES, ...valves])].join(",");
  const { NO_PROXY: more } = variables;
  const text: TextPart[] =
    more === undefined
      ? [shellQuote(own)]
      : [
          shellQuote(`${own},`),
          typeof more === "string" ? shellQuote(more) : { secret: more.secret, as: "shell" },
        ];
  return { NO_PROXY: text, no_proxy: text };
}
