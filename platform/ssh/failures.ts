import type { Failure } from "../../configs/kit/problems";
import { dockerHostName } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";

/** How ssh itself failed, from the end of its standard error. */
export function sshFailure(words: string, host: HostConfig): Failure {
  const name = dockerHostName(host.docker);
  const { machine, port } = whoAnswered(words, host);
  const last = lastWords(words);
  const found = (pattern: RegExp) => pattern.test(words);
  const portFlag = port === 22 ? "" : ` -p ${port}`;
  const known = host.knownHosts ?? "~/.ssh/known_hosts";
  if (found(/REMOTE HOST IDENTIFICATION HAS CHANGED|host key .*(has changed|mismatch)/i))
    return {
      what: `The host key of ${machine} is not the one in ${known}: this is another machine, a new installation, or a man in the middle.`,
      fix: `Compare \`ssh-keyscan${portFlag} ${machine} | ssh-keygen -lf -\` with the fingerprint that the host's console shows; only if they are the same, replace the line in ${known}.`,
    };
  if (found(/Host key verification failed|No \S+ host key is known/i))
    return {
      what: `The host key of ${machine} is not known: ${known} has no line for it.`,
      fix: `Compare \`ssh-keyscan${portFlag} ${machine} | ssh-keygen -lf -\` with the fingerprint that the host's console shows, then append the line of \`ssh-keyscan${portFlag} ${machine}\` to ${known}.`,
    };
  if (found(/Could not resolve hostname/i))
    return {
      what: `The name ${machine} leads nowhere.`,
      fix: "Correct gpubox:host.docker (or host.jump), or connect to the network that knows the name.",
    };
  if (found(/Connection refused/i))
    return {
      what: `Nothing listens for SSH at ${machine}:${port}.`,
      fix: `Start sshd there, or write its port: ssh://${name.replace(/:\d+$/, "")}:PORT.`,
    };
  if (found(/Connection timed out|No route to host|Network is unreachable|Operation timed out/i))
    return {
      what: `${machine}:${port} does not answer (${last}).`,
      fix: "Check that the host is up and reachable from here: VPN, firewall, host.jump.",
    };
  if (found(/Identity file .* not accessible|UNPROTECTED PRIVATE KEY/i))
    return {
      what: `The key ${host.identityFile ?? "of your ssh config"} does not exist, or others can read it.`,
      fix: "Correct gpubox:host.identityFile, or `chmod 600` the file.",
    };
  if (found(/Permission denied/i))
    return {
      what: `${name} does not accept the key that was offered (${last}).`,
      fix: `Put a public key of yours there (\`ssh-copy-id${portFlag} ${name.replace(/:\d+$/, "")}\`), load it into your agent (\`ssh-add\`), or name it in gpubox:host.identityFile.`,
    };
  if (found(/kex_exchange_identification|Connection (closed|reset) by|Exceeded MaxStartups/i))
    return {
      what: `sshd at ${machine} closed the connection before it was established (${last}).`,
      fix: "Wait a minute and try again: it limits new connections (MaxStartups, PerSourcePenalties, fail2ban).",
    };
  return {
    what: `No SSH connection to ${name} could be made: ${last || "ssh said nothing"}.`,
    fix: `Make \`ssh ${host.docker.replace(/(ssh:\/\/[^/]+).*/, "$1")} true\` work first.`,
  };
}

/** What `ENGINE_PROBE` found on a host whose engine did not answer: lines of `key=value`. */
export const ENGINE_PROBE = `
s=$1
printf 'user=%s\\n' "$(id -un)"
command -v dockerd >/dev/null 2>&1 || [ -x /usr/sbin/dockerd ] || [ -x /usr/bin/dockerd ] && echo installed=yes
[ -S "$s" ] && echo socket=yes
[ -w "$s" ] && echo writable=yes
if [ "$(curl -s -m 10 --unix-socket "$s" http://docker/_ping)" = OK ] || timeout 10 docker -H "unix://$s" version
then echo answers=yes; fi 2>/dev/null | grep answers
true`;

/** Why the engine of a host that SSH reaches does not answer. */
export function engineFailure(probe: string, host: HostConfig, stack: string): Failure {
  const seen = new Map(probe.split("\n").map((line) => line.split("=") as [string, string]));
  const name = dockerHostName(host.docker);
  const user = seen.get("user") ?? "this user";
  if (seen.has("socket") && !seen.has("writable"))
    return {
      what: `Docker runs on ${name}, but ${user} may not use it.`,
      fix: `Add ${user} to the group docker: \`gpubox host prepare --stack ${stack}\`, or there \`sudo usermod -aG docker ${user}\`.`,
    };
  if (!seen.has("installed") && !seen.has("socket"))
    return {
      what: `There is no Docker on ${name}.`,
      fix: `Run \`gpubox host prepare --stack ${stack}\`; it shows its plan first.`,
    };
  if (seen.has("answers"))
    return {
      what: `Docker answers on ${name}, but not through SSH: sshd does not forward its socket.`,
      fix: "Write AllowStreamLocalForwarding yes in /etc/ssh/sshd_config there, without DisableForwarding yes, and `sudo systemctl reload ssh`; look at `restrict` in authorized_keys too.",
    };
  return {
    what: `Docker is installed on ${name} but does not answer at ${sshAddress(host.docker)!.socket}.`,
    fix: "Start it there (`sudo systemctl start docker`), and look at `journalctl -u docker`.",
  };
}

/** ssh names the machine that failed, which matters with a jump host. */
function whoAnswered(words: string, host: HostConfig): { machine: string; port: number } {
  const own = sshAddress(host.docker)!;
  const [, connected, port] = /connect to host (\S+) port (\d+)/i.exec(words) ?? [];
  const named = /key is known for (\S+) and|Host key for (\S+) has changed|resolve hostname ([^\s:]+)/i.exec(
    words,
  );
  const machine =
    connected ??
    named
      ?.slice(1)
      .find(Boolean)
      ?.replace(/^\[(.*)\]:\d+$/, "$1") ??
    own.host;
  return { machine, port: port ? Number(port) : machine === own.host ? (own.port ?? 22) : 22 };
}

function lastWords(words: string): string {
  const lines = words.split("\n").map((line) => line.trim());
  return (lines.filter((line) => line && !/^@+|^Warning:/.test(line)).at(-1) ?? "").replace(/[.\s]+$/, "");
}
