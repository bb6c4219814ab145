import { connectionFolder } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";

/** An unused connection stays open for this many seconds, so that the next command can use it. */
const PERSIST_SECONDS = 600;

/** A connection counts as lost after this many seconds without an answer: three checks, 15 s apart. */
const ALIVE = ["ServerAliveInterval 15", "ServerAliveCountMax 3"];

/**
 * The client configuration of a stack's connection, for `ssh -F`. It includes the user's own at the end, so that the
 * hosts, keys and jump hosts of `~/.ssh/config` work. The first value of an option wins, so the user's file cannot
 * disable the host key check.
 */
export function sshConfig(stack: string, host: HostConfig): string {
  const { host: name, port, user } = sshAddress(host.docker)!;
  const folder = connectionFolder(stack);
  return [
    `# Written by gpubox for the stack ${stack}; made again at every use.`,
    `Host ${name}`,
    ...(user ? [`  User ${user}`] : []),
    ...(port ? [`  Port ${port}`] : []),
    ...(host.jump ? [`  ProxyJump ${host.jump}`] : []),
    // Only the client that opens the connection may do so: any other would open one without the engine's socket.
    "  ControlMaster no",
    `  ControlPath ${folder}/master`,
    `  ControlPersist ${PERSIST_SECONDS}`,
    // The jump host too.
    "Host *",
    "  BatchMode yes",
    "  StrictHostKeyChecking yes",
    ...(host.knownHosts
      ? [`  UserKnownHostsFile "${host.knownHosts}"`, "  GlobalKnownHostsFile /dev/null"]
      : []),
    ...(host.identityFile ? [`  IdentityFile "${host.identityFile}"`, "  IdentitiesOnly yes"] : []),
    "  ConnectTimeout 15",
    ...ALIVE.map((line) => `  ${line}`),
    "  ExitOnForwardFailure yes",
    "  StreamLocalBindUnlink yes",
    "  ForwardAgent no",
    "  RequestTTY no",
    "Include ~/.ssh/config",
    "Include /etc/ssh/ssh_config",
    "",
  ].join("\n");
}
