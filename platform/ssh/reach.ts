import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { bracketed } from "../../configs/network/addresses";
import { bindHost } from "../../configs/network/endpoint";
import { connectionFolder } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { StackConfig } from "../../configs/stack/config";
import { adminPort } from "../../configs/stack/ports";
import { run, UserError } from "../process";
import { sshArguments } from "./connection";

/** Where this machine reaches the clients' port of a box. */
export interface ReachTarget {
  address: string;
  port: number;
}

const made = new Map<string, Promise<ReachTarget>>();

/** The clients' address and port from this machine; for a host behind SSH, a port that leads through the connection. */
export function reachBox(config: StackConfig): Promise<ReachTarget> {
  return reach(config, { address: bindHost(config), port: config.gateway.port });
}

/** The base URL of the box's admin port from this machine. */
export async function reachAdmin(config: StackConfig): Promise<string> {
  const { address, port } = await reach(config, { address: "127.0.0.1", port: adminPort(config) });
  return `http://${address}:${port}`;
}

function reach(config: StackConfig, direct: ReachTarget): Promise<ReachTarget> {
  if (!sshAddress(config.host.docker)) return Promise.resolve(direct);
  const key = `${config.stack} ${direct.address} ${direct.port}`;
  const way = made.get(key) ?? forward(config, direct);
  made.set(key, way);
  return way;
}

/** The base URL of a box without TLS from this machine, for example `http://127.0.0.1:41234`. */
export async function reachEndpoint(config: StackConfig, endpoint: string): Promise<string> {
  if (config.gateway.tls || !sshAddress(config.host.docker)) return endpoint;
  const { address, port } = await reachBox(config);
  return `http://${address}:${port}`;
}

/** It ends with this process; the next process makes its own. */
async function forward({ stack }: StackConfig, { address, port }: ReachTarget): Promise<ReachTarget> {
  const here = await freePort();
  const spec = `127.0.0.1:${here}:${bracketed(address)}:${port}`;
  const folder = connectionFolder(stack);
  const opened = await run("ssh", ["-O", "forward", "-L", spec, ...sshArguments(folder)]);
  if (opened.code !== 0)
    throw new UserError(
      `The box's port ${port} cannot be reached through SSH: ${opened.stderr.trim()}.`,
      "Check AllowTcpForwarding in sshd's config there: it has to allow local forwarding.",
    );
  process.once("exit", () => cancel(folder, spec));
  return { address: "127.0.0.1", port: here };
}

function cancel(folder: string, spec: string): void {
  // This process must be able to exit, so the child runs on its own.
  void run("ssh", ["-O", "cancel", "-L", spec, ...sshArguments(folder)]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
