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
