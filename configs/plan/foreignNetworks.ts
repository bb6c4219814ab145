import { isIP } from "node:net";
import type { Ranks } from "../engines/nodes";
import type { ContainerPlan, ForeignNetworkRole, NetworkPlan } from "../kit/containerPlan";
import type { GatewayConfig } from "../schema/gateway";
import { entriesOfHost, type StackConfig } from "../stack/config";

type Joining = { gateway: Pick<GatewayConfig, "joinNetworks" | "hosts" | "tls"> };

/** The foreign networks that the box's containers join. Their owners decide whether they lead out of the host. */
export function foreignNetworks({
  gateway: { joinNetworks },
  ...entries
}: Joining & Pick<StackConfig, "models" | "workers">): NetworkPlan[] {
  const links = Object.values(entriesOfHost(entries)).flatMap((model) =>
    "nodes" in model && model.nodes ? [model.nodes.network] : [],
  );
  const names = [...new Set([...joinNetworks.upstreams, ...joinNetworks.clients, ...links])].sort();
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

/** The networks of a rank: rank 0 is reached through its valve, the others through rank 0 alone. */
export function networksOfRank(
  { network, rank, hosts }: Ranks,
  name: string,
): Pick<ContainerPlan, "networks" | "addresses"> {
  const link = roleOf(network);
  return {
    networks: { ...(rank === 0 ? { backends: [name] } : {}), [link]: [] },
    addresses: { [link]: hosts[rank]!.address },
  };
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
