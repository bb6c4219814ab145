import { hashOf } from "../kit/text";

/** Start of the names of all bridges that boxes make; the firewall rules of `host prepare` know them by it. */
const BRIDGE_PREFIX = "br-gpubox";

/**
 * Name of a network's bridge on the host: the same before the network is made, so that rules can be there first. Linux takes 15
 * characters.
 */
export function bridgeName(network: string): string {
  return `${BRIDGE_PREFIX}${hashOf(network).slice(0, 6)}`;
}
