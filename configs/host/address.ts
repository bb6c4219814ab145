import type { HostConfig } from "../schema/host";

/** A host behind SSH, taken apart from `ssh://user@host:port/path`. */
export interface SshAddress {
  user?: string;
  host: string;
  port?: number;
  /** The engine's socket on the host. */
  socket: string;
}

const SSH =
  /^ssh:\/\/(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(\/[A-Za-z0-9._/+-]+)?$/;

/** A path that is one word to every shell and every program: it may stand in a command, a variable and a file. */
const UNIX = /^unix:\/\/(\/[A-Za-z0-9._/+-]*[A-Za-z0-9._+-])$/;

/** The socket of a `unix://` address; undefined for every other text. */
export function unixSocket(docker: string): string | undefined {
  return UNIX.exec(docker)?.[1];
}

/** The parts of an `ssh://` address; undefined for every other text. A leading dash would become an option of ssh. */
export function sshAddress(docker: string): SshAddress | undefined {
  const [, user, host, port, socket] = SSH.exec(docker) ?? [];
  if (!host || host.startsWith("-") || user?.startsWith("-")) return undefined;
  return {
    ...(user ? { user } : {}),
    host: host.replace(/^\[(.*)\]$/, "$1"),
    ...(port ? { port: Number(port) } : {}),
    socket: socket ?? "/var/run/docker.sock",
  };
}

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

/** The folder of the connection that an engine's address leads through; undefined for an engine of this machine. */
export function connectionOf(docker: string): string | undefined {
  return /^unix:\/\/(\.gpubox\/ssh\/[^/]+)\/docker\.sock$/.exec(docker)?.[1];
}

/** The host as a person writes it: `ssh://user@box:2222` without its socket. */
export function hostName(docker: string): string {
  const address = sshAddress(docker);
  if (!address) return "this machine";
  return `${address.user ? `${address.user}@` : ""}${address.host}${address.port ? `:${address.port}` : ""}`;
}
