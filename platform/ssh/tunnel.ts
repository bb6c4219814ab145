import { bracketed, isWildcard } from "../../configs/network/addresses";
import { connectionFolder } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";

/**
 * The command that a person types in the project's folder to reach ports of a host behind SSH under the same numbers
 * here, with the stack's jump host, key and known hosts. It opens its own connection, which ends with the command.
 * Undefined for this machine.
 *
 * @param ports as published on the host
 */
export function tunnel(
  { stack, host }: { stack: string; host: HostConfig },
  ports: { bind: string; port: number }[],
): string | undefined {
  const address = sshAddress(host.docker);
  if (!address) return undefined;
  const ways = ports.map(({ bind, port }) => `-L ${port}:${reached(bind)}:${port}`);
  return ["ssh", "-F", `${connectionFolder(stack)}/config`, "-S none -N", ...ways, address.host].join(" ");
}

function reached(bind: string): string {
  return isWildcard(bind) ? "127.0.0.1" : bracketed(bind);
}
