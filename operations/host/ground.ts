import { dockerHostName } from "../../configs/network/engine";
import { sshAddress, unixSocket } from "../../configs/schema/address";
import type { HostConfig } from "../../configs/schema/host";
import { type DockerEngine, describedEngine } from "../../platform/docker/engine";
import { UserError } from "../../platform/process";
import type { StackHost } from "../../platform/ssh/connection";
import { hostShell } from "../../platform/ssh/shell";
import { saidBy } from "./said";

/** What a host is made of, as far as it decides whether a box can stand on it. */
export interface HostGround {
  systemd: boolean;
  /** A Linux of Windows' (WSL), where systemd is a setting. */
  wsl: boolean;
  /** Seconds by which its clock is ahead of this machine's; 0 for this machine. */
  aheadSeconds: number;
  /** Where the file system of the data directory is mounted, if nobody can write to it. */
  readOnly?: string;
  /** Type of the data directory's label, or of its nearest parent's, where SELinux enforces. */
  selinuxType?: string;
  /** Free space for Docker's images and volumes, and for the data directory. */
  space: Space[];
  /** What the engine says of itself; undefined where none answers. */
  engine?: DockerEngine;
  devices: DeviceFiles;
}

/** Where a box is to stand. */
export interface Place {
  /** The host, for people. */
  name: string;
  host: HostConfig;
  /** A model computes by AMD's `/dev/kfd`. */
  computesByKfd: boolean;
}

export interface Space {
  folder: string;
  freeBytes: number;
  /** Undefined where the file system makes as many as it wants. */
  freeFiles?: number;
}

/** The files by which containers reach GPUs of AMD and Intel. */
export interface DeviceFiles {
  /** `/dev/kfd` and render nodes, with the group that may use them; undefined where everybody may. */
  files: { path: string; group?: number }[];
  /** GPUs that AMD's driver for computing knows, by its name of their kind: `gfx1100`. */
  gfx: string[];
  /** Version of AMD's driver where it is not the kernel's own, and of the host's ROCm. */
  amdgpu?: string;
  rocm?: string;
}

/**
 * Prints what a host is made of as `key=value` lines, values in base64, and changes nothing. "$1": dataDir; "$2": the
 * engine's socket; "$3": how to become root, may be empty.
 */
export const GROUND_PROBE = `
say() { printf '%s=%s\\n' "$1" "$(printf %s "$2" | base64 | tr -d '\\n')"; }
PATH=$PATH:/usr/sbin:/sbin; LC_ALL=C; export LC_ALL
say clock "$(date +%s)"
[ -d /run/systemd/system ] && say systemd yes
grep -qi microsoft /proc/version 2>/dev/null && say wsl yes
nearest() { n=$1; while [ ! -e "$n" ]; do n=$(dirname "$n"); done; printf %s "$n"; }
data=$(nearest "$1")
point=$(df -P "$data" 2>/dev/null | sed -n '$s/.*% //p')
options=
while read -r _ where _ how _; do [ "$where" != "$point" ] || options=$how; done </proc/self/mounts
case ",$options," in *,ro,*) say readOnly "$point" ;; esac
if [ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" = 1 ]; then
  say selinuxType "$(stat -c %C "$data" 2>/dev/null | cut -d : -f 3)"
fi
info=$($3 docker -H "unix://$2" info --format '{{json .}}' 2>/dev/null) && say engine "$info"
root=$(printf %s "$info" | sed -n 's/.*"DockerRootDir":"\\([^"]*\\)".*/\\1/p')
spaces=
for folder in "\${root:-/var/lib/docker}" "$1"; do
  near=$(nearest "$folder")
  spaces="$spaces$(df -Pk "$near" 2>/dev/null | sed -n '$p' | { read -r _ _ _ free _ && printf %s "$free"; }) \\
$(df -Pi "$near" 2>/dev/null | sed -n '$p' | { read -r _ all _ free _ && [ "$all" != 0 ] && printf %s "$free" || printf %s -; }) $folder
"
done
say space "$spaces"
files=
for file in /dev/kfd /dev/dri/renderD*; do
  [ ! -e "$file" ] || files="$files$(stat -c '%a %g %n' "$file")
"
done
say deviceFiles "$files"
say gfx "$(sed -n 's/^gfx_target_version \\([1-9][0-9]*\\)$/\\1/p' /sys/class/kfd/kfd/topology/nodes/*/properties 2>/dev/null)"
say amdgpu "$(cat /sys/module/amdgpu/version 2>/dev/null)"
say rocm "$(cat /opt/rocm/.info/version 2>/dev/null)"
true`;

/** Reads what a host is made of. Changes nothing. */
export async function readGround(at: StackHost): Promise<HostGround> {
  const { docker, dataDir } = at.host;
  const socket = sshAddress(docker)?.socket ?? unixSocket(docker) ?? "/var/run/docker.sock";
  const root =
    'r=""; [ "$(id -u)" = 0 ] || { sudo -n sh -c : 2>/dev/null && r="sudo -n"; }; sh -c "$1" gpubox "$2" "$3" "$r"';
  const before = Date.now();
  const read = await hostShell(at, root, [GROUND_PROBE, dataDir, socket]);
  // The time halfway between question and answer, as in NTP.
  const asked = (before + Date.now()) / 2;
  if (read.code !== 0)
    throw new UserError(
      `${dockerHostName(docker)} cannot be read: ${read.stderr.trim().split("\n").at(-1) || `exit code ${read.code}`}.`,
      "Run `gpubox doctor` to see how far it gets.",
    );
  return parseGround(read.stdout, sshAddress(docker) ? asked / 1000 : undefined);
}

/**
 * Parses the output of `GROUND_PROBE`.
 *
 * @param asked when it was asked, in seconds since 1970 by this machine's clock; undefined where that is the host's too
 */
export function parseGround(text: string, asked?: number): HostGround {
  const seen = new Map(saidBy(text));
  const word = (key: string) => seen.get(key)?.trim() || undefined;
  const clock = word("clock");
  const engine = describedEngine(word("engine") ?? "");
  const list = (key: string) => (word(key) ?? "").split("\n").filter(Boolean);
  return {
    systemd: seen.has("systemd"),
    wsl: seen.has("wsl"),
    aheadSeconds: asked === undefined || clock === undefined ? 0 : Math.round(Number(clock) - asked),
    readOnly: word("readOnly"),
    selinuxType: word("selinuxType"),
    space: list("space").flatMap(spaceOf),
    ...(engine ? { engine } : {}),
    devices: {
      files: list("deviceFiles").flatMap(fileOf),
      gfx: list("gfx").map(gfxName),
      amdgpu: word("amdgpu"),
      rocm: word("rocm"),
    },
  };
}

function spaceOf(line: string): Space[] {
  const [, kib, files, folder] = /^(\d+) +(\d+|-) (\/.*)$/.exec(line) ?? [];
  if (!kib || !folder) return [];
  return [{ folder, freeBytes: Number(kib) * 1024, ...(files === "-" ? {} : { freeFiles: Number(files) }) }];
}

/** A line of `stat`: mode, group, path. */
function fileOf(line: string): DeviceFiles["files"] {
  const [, mode, group, path] = /^([0-7]+) (\d+) (\/\S+)$/.exec(line) ?? [];
  if (!mode || !path) return [];
  const everybody = (Number.parseInt(mode, 8) & 6) === 6;
  return [{ path, ...(everybody ? {} : { group: Number(group) }) }];
}

/** 110000 is gfx1100, 90010 is gfx90a: the last two parts are hexadecimal. */
function gfxName(version: string): string {
  const number = Number(version);
  const [major, minor, step] = [Math.floor(number / 10_000), Math.floor(number / 100) % 100, number % 100];
  return `gfx${major}${minor.toString(16)}${step.toString(16)}`;
}
