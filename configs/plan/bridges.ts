import { hashOf } from "../kit/text";

/** Prefix of all bridge names of boxes, which the firewall rules of `host prepare` match. */
const BRIDGE_PREFIX = "br-gpubox";

/**
 * Name of a network's bridge on the host: the same before the network is made, so that rules can be there first. Linux takes 15
 * characters.
 */
export function bridgeName(network: string): string {
  return `${BRIDGE_PREFIX}${hashOf(network).slice(0, 6)}`;
}
