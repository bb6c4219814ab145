import { sshAddress } from "../schema/address";
import type { HostConfig } from "../schema/host";

/**
 * Folder of a stack's SSH connection, relative to the project: the same text on every machine, so that nothing in Pulumi's
 * state differs between a laptop and CI, and short enough for a socket's path (108 bytes).
 */
export function connectionFolder(stack: string): string {
  return `.gpubox/ssh/${stack}`;
}

/** Address of the engine for everything that talks to it: over SSH, the local end of the shared connection. */
export function engineAddress({ stack, host }: { stack: string; host: HostConfig }): string {
  return sshAddress(host.docker) ? `unix://${connectionFolder(stack)}/docker.sock` : host.docker;
}

/** The SSH connection's folder that an engine address goes through; undefined for a local engine. */
export function connectionOf(docker: string): string | undefined {
  return /^unix:\/\/(\.gpubox\/ssh\/[^/]+)\/docker\.sock$/.exec(docker)?.[1];
}

/** The host as a person writes it: `ssh://user@box:2222` without its socket. */
export function dockerHostName(docker: string): string {
  const address = sshAddress(docker);
  if (!address) return "this machine";
  return `${address.user ? `${address.user}@` : ""}${address.host}${address.port ? `:${address.port}` : ""}`;
}
