import { endpointOf } from "../../configs/network/endpoint";
import type { StackConfig } from "../../configs/stack/config";
import { type ReachTarget, reachAdmin, reachBox, reachEndpoint } from "../ssh/reach";

/** How this machine reaches the ports of a box. */
export interface BoxWays {
  /** Base URL for clients, without `/v1`; with TLS the one that the certificate is for. */
  endpoint: string;
  /** Where their port is from here. */
  clients: ReachTarget;
  /** Makes a way to the admin port, and gives its base URL. */
  admin: () => Promise<string>;
}

/** The ways to a box on a host: direct ones, or through the connection by SSH. */
export async function waysToHost(config: StackConfig): Promise<BoxWays> {
  return {
    endpoint: await reachEndpoint(config, endpointOf(config)),
    clients: await reachBox(config),
    admin: () => reachAdmin(config),
  };
}
