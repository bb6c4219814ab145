import { connectionFolder } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";

/** An unused connection stays open for this many seconds, so that the next command can use it. */
const PERSIST_SECONDS = 600;

/** A connection counts as lost after this many seconds without an answer: three checks, 15 s apart. */
const ALIVE = ["ServerAliveInterval 15", "ServerAliveCountMax 3"];

/**
 * The client configuration of a stack's connection, for `ssh -F`. The user's own follows, so that names of `~/.ssh/config`,
 * its keys and jump hosts work; the first value of an option wins, so it cannot switch the host key check off.
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
    // Any client but the one that opens the connection would make one without the engine's socket.
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
