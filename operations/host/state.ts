import { type Distribution, parseOsRelease } from "../../platform/docker/packages";
import { architectureOf } from "../../platform/docker/unfit";
import { saidBy } from "./said";

/** What `host prepare` and `doctor` read from a host. */
export interface HostState {
  distribution: Distribution;
  /** True when apt-get is installed. */
  apt: boolean;
  user: string;
  /** How commands become root. */
  root: "is root" | "sudo" | "sudo wants a password" | "no sudo";
  /** sudo's own words, where it refuses. */
  sudoSays?: string;
  systemd: boolean;
  /** The kernel has AppArmor switched on, and the program that loads Docker's profile is not installed. */
  apparmorParserMissing: boolean;
  /** Version of the engine that runs, else of the installed one; undefined when there is none. */
  docker?: string;
  /** Version of the installed engine: newer than the running one until somebody restarts it. */
  dockerInstalled?: string;
  /** Version that apt would install where there is no engine; undefined when apt knows none or was never updated. */
  dockerCandidate?: string;
  dockerRuns: boolean;
  /** The user is root or in the group docker. */
  mayUseDocker: boolean;
  daemonJson?: string;
  /** /etc/docker/daemon.json exists, and only root may read it. */
  daemonJsonHidden: boolean;
  /** The engine is part of a swarm: with `live-restore` it would not start. */
  swarm: boolean;
  /** There is an NVIDIA device on the PCI bus. */
  nvidia: boolean;
  /** Version of the kernel's driver. */
  nvidiaDriver?: string;
  /** nvidia-ctk is installed. */
  nvidiaToolkit: boolean;
  /** Apt knows the package nvidia-container-toolkit; asked where a device is there and nvidia-ctk is not. */
  nvidiaToolkitCandidate: boolean;
  /** A CDI description of NVIDIA's devices exists. */
  nvidiaCdi: boolean;
  dataDir: boolean;
  /** Interface of the default route. */
  outside?: string;
  /** Lines of the chain DOCKER-USER; undefined when the chain does not exist or we may not read it. */
  dockerUser?: string[];
  /** Lines of the chain INPUT; undefined as for `dockerUser`. */
  input?: string[];
  /** The script on the host that sets the rules. */
  firewallScript?: string;
  /** This stack's own file on the host, which the script reads. */
  firewallFile?: string;
  /** The unit on the host that sets the rules. */
  firewallUnit?: string;
  /** Stacks that the host is prepared for. */
  preparedStacks: string[];
  /** The script on the host that ends boxes at shutdown, and its unit. */
  boxesScript?: string;
  boxesUnit?: string;
  /** That unit is active, and will be after a boot. */
  boxesRun: boolean;
  /** Bridges of the stack's networks. */
  bridges: string[];
  /** Docker's name for it: `amd64`, `arm64`. */
  arch?: string;
  /** True when NTP keeps the clock; undefined when unknown. */
  ntp?: boolean;
}

/** One change to a host. */
export interface HostStep {
  id:
    | "packages"
    | "apparmor"
    | "daemon"
    | "start"
    | "group"
    | "directory"
    | "firewall"
    | "boxes"
    | "nvidia"
    | "cdi";
  /** What the step does, for a person to read beforehand. */
  does: string;
  /** POSIX sh, run as root. Safe to repeat. */
  script: string;
  stdin?: string;
}

/** Comment on gpubox's rules in DOCKER-USER. */
export const RULE_COMMENT = "gpubox";

/**
 * Prints the state of a host as `key=value` lines and changes nothing. "$1": dataDir; "$2": how to become root, may be
 * empty; "$3": the stack.
 */
export const STATE_PROBE = `
say() { printf '%s=%s\\n' "$1" "$(printf %s "$2" | base64 | tr -d '\\n')"; }
has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]; }
PATH=$PATH:/usr/sbin:/sbin
say release "$(cat /etc/os-release 2>/dev/null)"
has apt-get && say apt yes
say user "$(id -un)"
if [ "$(id -u)" = 0 ]; then say root "is root"
elif ! has sudo; then say root "no sudo"
elif words=$(sudo -n sh -c : 2>&1 </dev/null); then say root sudo
else say root "sudo wants a password"; say sudoSays "$(printf %s "$words" | sed -n 's/^sudo: //;$p')"; fi
[ -d /run/systemd/system ] && say systemd yes
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && ! has apparmor_parser && say apparmorParserMissing yes
has dockerd && say docker "$(dockerd --version 2>/dev/null)"
runs=$($2 docker info --format '{{.ServerVersion}} {{.Swarm.LocalNodeState}}' 2>/dev/null) && say dockerRuns "\${runs%% *}"
# Each look into apt's lists takes a second of CPU.
[ -z "$runs" ] && ! has dockerd && has apt-cache && say dockerCandidate "$(apt-cache policy docker.io 2>/dev/null | sed -n 's/^ *Candidate: //p')"
case "\${runs#* }" in ""|inactive) ;; *) say swarm yes ;; esac
case " $(id -Gn 2>/dev/null) $(id -Gn "$(id -un)") " in *" docker "*|*" root "*) say mayUseDocker yes ;; esac
if [ -f /etc/docker/daemon.json ]; then
  text=$($2 cat /etc/docker/daemon.json 2>/dev/null) && say daemonJson "$text" || say daemonJsonHidden yes
fi
nvidia=
for device in /sys/bus/pci/devices/*; do
  [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ] || continue
  case "$(cat "$device/class")" in 0x03*) nvidia=yes; say nvidia yes; break ;; esac
done
[ -r /proc/driver/nvidia/version ] && say nvidiaDriver "$(sed -n 's/.* \\([0-9][0-9.]*\\) .*/\\1/p;q' /proc/driver/nvidia/version)"
if has nvidia-ctk; then say nvidiaToolkit yes
elif [ "$nvidia" ] && has apt-cache && apt-cache show nvidia-container-toolkit >/dev/null 2>&1; then say nvidiaToolkitCandidate yes; fi
for file in /etc/cdi/nvidia* /var/run/cdi/nvidia*; do [ -e "$file" ] && say nvidiaCdi yes && break; done
[ -d "$1" ] && say dataDir yes
say outside "$(ip -4 route show default 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)"
rules=$($2 iptables -w -S DOCKER-USER 2>/dev/null) && say dockerUser "$rules"
rules=$($2 iptables -w -S INPUT 2>/dev/null) && say input "$rules"
[ -r /usr/local/sbin/gpubox-docker-user ] && say firewallScript "$(cat /usr/local/sbin/gpubox-docker-user)"
[ -r "/etc/gpubox/firewall.d/$3" ] && say firewallFile "$(cat "/etc/gpubox/firewall.d/$3")"
say preparedStacks "$(ls /etc/gpubox/firewall.d 2>/dev/null)"
units=/etc/systemd/system
[ -r $units/gpubox-docker-user.service ] && say firewallUnit "$(cat $units/gpubox-docker-user.service)"
[ -r $units/gpubox-boxes.service ] && say boxesUnit "$(cat $units/gpubox-boxes.service)"
[ -r /usr/local/sbin/gpubox-boxes ] && say boxesScript "$(cat /usr/local/sbin/gpubox-boxes)"
systemctl is-active -q gpubox-boxes 2>/dev/null && systemctl is-enabled -q gpubox-boxes 2>/dev/null && say boxesRun yes
bridge='{{with index .Options "com.docker.network.bridge.name"}}{{.}}{{else}}br-{{slice .ID 0 12}}{{end}}'
say bridges "$(for id in $($2 docker network ls -q --filter driver=bridge --filter "label=gpubox.stack=$3" 2>/dev/null); do
  $2 docker network inspect --format "$bridge" "$id" 2>/dev/null
done)"
say arch "$(uname -m)"
has timedatectl && say ntp "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)"
true`;

/** Parses the output of `STATE_PROBE`. */
export function parseState(text: string): HostState {
  const seen = new Map(saidBy(text));
  const word = (key: string) => seen.get(key)?.trim() || undefined;
  const version = (text?: string) => /(\d+(?:\.\d+)+)/.exec(text ?? "")?.[1];
  /** A file's text. The shell strips line ends from its end. */
  const textOf = (key: string) => (seen.has(key) ? `${seen.get(key)!.trimEnd()}\n` : undefined);
  const list = (key: string) => (word(key) ?? "").split("\n").filter(Boolean).sort();
  const installed = seen.has("docker") ? (version(word("docker")) ?? "unknown") : undefined;
  const ntp = word("ntp");
  return {
    distribution: parseOsRelease(word("release") ?? ""),
    apt: seen.has("apt"),
    user: word("user") ?? "",
    root: (word("root") ?? "no sudo") as HostState["root"],
    ...(word("sudoSays") ? { sudoSays: word("sudoSays")!.replace(/[.\s]+$/, "") } : {}),
    systemd: seen.has("systemd"),
    apparmorParserMissing: seen.has("apparmorParserMissing"),
    docker: version(word("dockerRuns")) ?? installed,
    dockerInstalled: installed,
    dockerCandidate: version(word("dockerCandidate")),
    dockerRuns: seen.has("dockerRuns"),
    mayUseDocker: seen.has("mayUseDocker"),
    daemonJson: seen.get("daemonJson"),
    nvidia: seen.has("nvidia"),
    nvidiaDriver: word("nvidiaDriver"),
    nvidiaToolkit: seen.has("nvidiaToolkit"),
    nvidiaToolkitCandidate: seen.has("nvidiaToolkitCandidate"),
    nvidiaCdi: seen.has("nvidiaCdi"),
    daemonJsonHidden: seen.has("daemonJsonHidden"),
    swarm: seen.has("swarm"),
    dataDir: seen.has("dataDir"),
    outside: word("outside"),
    dockerUser: seen.has("dockerUser") ? (word("dockerUser") ?? "").split("\n") : undefined,
    input: seen.has("input") ? (word("input") ?? "").split("\n") : undefined,
    firewallScript: textOf("firewallScript"),
    firewallFile: textOf("firewallFile"),
    firewallUnit: textOf("firewallUnit"),
    preparedStacks: list("preparedStacks"),
    boxesScript: textOf("boxesScript"),
    boxesUnit: textOf("boxesUnit"),
    boxesRun: seen.has("boxesRun"),
    bridges: list("bridges"),
    arch: architectureOf(word("arch") ?? ""),
    ...(ntp ? { ntp: ntp === "yes" } : {}),
  };
}
