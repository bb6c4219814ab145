import { isLoopback, isWildcard } from "../network/addresses";
import { acceptedHosts, endpointOf } from "../network/endpoint";
import { urlProblems } from "../network/url";
import type { BoxConfig } from "../schema/boxes";
import { isOwnLoopback } from "../secrets/loopback";
import type { StackConfig } from "../stack/config";

/** A mistake in a box's entry, with its key: `.url`, or `` for the whole entry. */
export interface BoxProblem {
  key: string;
  what: string;
  fix: string;
  /** True: boxes serve each other's models. */
  loop?: true;
}

/**
 * Base URL of a box for a gateway on another host, up to and with /v1.
 *
 * @param stack the box's own
 */
export function baseUrlOf(config: Pick<StackConfig, "stack" | "gateway">, { url }: BoxConfig) {
  return url === undefined ? declaredUrl(config) : givenUrl(config, url);
}

function givenUrl(
  { stack, gateway }: Pick<StackConfig, "stack" | "gateway">,
  url: string,
): string | BoxProblem {
  const { hostname, pathname } = new URL(url);
  const key = ".url";
  const [mistake] = urlProblems(url, key, {
    kind: "root",
    login: "Leave it out: `key` names that box's key.",
  });
  if (mistake) return { key, what: mistake.what, fix: mistake.fix };
  if (isOwnLoopback(hostname))
    return {
      key,
      what: `${hostname} is the gateway container's own loopback.`,
      fix: "Write an address of that box that containers of this host reach.",
    };
  if (/\/v\d+\/?$/.test(pathname))
    return {
      key,
      what: `"${url}" ends in a version.`,
      fix: `Write ${url.replace(/\/v\d+\/?$/, "")}.`,
    };
  const accepted = acceptedHosts({ stack, gateway }).map((host) =>
    host.includes(":") ? `[${host}]` : host.toLowerCase(),
  );
  if (!accepted.includes(hostname))
    return {
      key,
      what: `That box does not accept the name ${hostname}.`,
      fix: `Add it to gpubox:gateway.hosts in Pulumi.${stack}.yaml.`,
    };
  return `${url.replace(/\/+$/, "")}/v1`;
}

/** Uses the listening address, since a container may not resolve a tailnet's names; with TLS, the certificate's name. */
function declaredUrl(config: Pick<StackConfig, "stack" | "gateway">): string | BoxProblem {
  const { bind, hosts, port, tls } = config.gateway;
  if (isLoopback(bind))
    return {
      key: "",
      what: `That box listens on its own loopback only: gpubox:gateway.bind is ${bind} in Pulumi.${config.stack}.yaml.`,
      fix: "Write an address there that this host reaches, its names into gateway.hosts, and run `gpubox up` for it; or write here the url of another way to it.",
    };
  if (tls || !isWildcard(bind)) return `${endpointOf(config)}/v1`;
  const host = hosts.find((one) => !isOwnLoopback(one));
  if (host) return `http://${host}:${port}/v1`;
  return {
    key: "",
    what: `No name of that box is known: gpubox:gateway.hosts is empty in Pulumi.${config.stack}.yaml.`,
    fix: "List there the names or addresses by which others reach it.",
  };
}
