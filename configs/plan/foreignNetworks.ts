import { isIP } from "node:net";
import type { ContainerPlan, ForeignNetworkRole, NetworkPlan } from "../kit/types";
import type { GatewayConfig } from "../schema/gateway";

type Joining = { gateway: Pick<GatewayConfig, "joinNetworks" | "hosts" | "tls"> };

/** The foreign networks that the box's containers join. Their owners decide whether they lead out of the host. */
export function foreignNetworks({ gateway: { joinNetworks } }: Joining): NetworkPlan[] {
  const names = [...new Set([...joinNetworks.upstreams, ...joinNetworks.clients])].sort();
  return names.map((name) => ({ role: roleOf(name), name, internal: false, external: true }));
}

/** Foreign networks on which gateways reach servers. Gateways have no name there, since nobody should call them. */
export function gatewayForeignNetworks({ gateway: { joinNetworks } }: Joining): ContainerPlan["networks"] {
  return joined(joinNetworks.upstreams, []);
}

/** Foreign networks whose containers reach the edge: by its container's name, and with TLS also by the certificate's names. */
export function edgeForeignNetworks({
  gateway: { joinNetworks, hosts, tls },
}: Joining): ContainerPlan["networks"] {
  return joined(joinNetworks.clients, tls ? hosts.filter((host) => isIP(host) === 0) : []);
}

/** What to do about a missing foreign network. `up`: the command that brings the box up. */
export function missingNetworkFix(name: string, up: string): string {
  return `Bring up what it belongs to, or make it (\`docker network create ${name}\`), then run ${up}.`;
}

function joined(names: string[], aliases: string[]): ContainerPlan["networks"] {
  return Object.fromEntries([...new Set(names)].sort().map((name) => [roleOf(name), aliases]));
}

function roleOf(name: string): ForeignNetworkRole {
  return `joined-${name}`;
}
