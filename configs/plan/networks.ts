import type { NetworkPlan, NetworkRole } from "../kit/containerPlan";
import type { StackConfig } from "../stack/config";
import { bridgeName } from "./bridges";
import { foreignNetworks } from "./foreignNetworks";

/** The networks of a box: its own, and the foreign ones that it joins. */
export function planNetworks(config: StackConfig): NetworkPlan[] {
  const { mode } = config.observability;
  const network = (role: NetworkRole, internal: boolean): NetworkPlan => {
    const name = `gpubox-${config.stack}-${role}`;
    return { role, name, internal, bridge: bridgeName(name) };
  };
  return [
    // Gateways reach cloud providers through it, and only networks with a way out can publish the edge's ports.
    network("edge", false),
    network("data", true),
    network("models", true),
    network("backends", true),
    ...(mode === "bundled" ? [network("metrics", true), network("dashboards", false)] : []),
    ...foreignNetworks(config),
  ];
}
