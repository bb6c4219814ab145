import { isIP } from "node:net";
import type { GatewayConfig } from "../schema/gateway";
import { bracketed, isWildcard } from "./addresses";

interface Bound {
  gateway: GatewayConfig;
}

/** Base URL for clients, without `/v1`: of this host, or with the name that the certificate is for. */
export function endpointOf(config: Bound): string {
  const { hosts, port, tls } = config.gateway;
  const address = bracketed(bindHost(config));
  if (!tls) return `http://${address}:${port}`;
  return `https://${hosts[0] ?? address}${port === 443 ? "" : `:${port}`}`;
}

/** An address of this host that the clients' port is published on. */
export function bindHost({ gateway }: Bound): string {
  return isWildcard(gateway.bind) ? "127.0.0.1" : gateway.bind;
}

/** Host names that the edge accepts from clients: the configured ones, and its own name on the foreign networks that it joins. */
export function acceptedHosts({ stack, gateway }: Bound & { stack: string }): string[] {
  const bound = isIP(gateway.bind) && !isWildcard(gateway.bind) ? [gateway.bind] : [];
  const joined = gateway.joinNetworks.clients.length > 0 ? [`gpubox-${stack}-edge`] : [];
  return [...new Set([...bound, ...gateway.hosts, ...joined])];
}

/** Last part of the paths by which smoke and doctor test the edge's checks. It marks their requests in the log. */
export const PROBE = "gpubox-probe";
