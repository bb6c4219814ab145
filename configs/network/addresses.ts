import { BlockList, isIPv6 } from "node:net";

/** Networks that only their own members reach, a tailnet's among them. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
] as const)
  PRIVATE.addSubnet(network, prefix);
PRIVATE.addSubnet("fc00::", 7, "ipv6");

export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** True for an address of a private network. The wildcards are none: they may hold a public address. */
export function isPrivate(address: string): boolean {
  return PRIVATE.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** True for a wildcard address, which stands for every address of the host. */
export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** An address as written before a port: IPv6 in brackets. */
export function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
