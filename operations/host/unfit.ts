import type { Failure } from "../../configs/kit/problems";
import { gibibytes } from "../../configs/kit/sizes";
import { unfitEngine } from "../../platform/docker/unfit";
import { refuseDiskGiB, refuseFiles } from "../../platform/machine";
import { unfitDevices } from "./deviceFiles";
import type { HostGround, Place } from "./ground";

/** Clock difference in seconds at which certificates, signed requests and packages are refused everywhere. */
const WRONG_CLOCK_SECONDS = 3600;

/** Labels that SELinux lets containers read and write. */
const CONTAINER_TYPES = ["container_file_t", "svirt_sandbox_file_t"];

/** Why a host cannot carry a box, each with what to do. Empty where it can. Pure. */
export function unfitHost(ground: HostGround, place: Place): Failure[] {
  const { name, host } = place;
  const { dataDir } = host;
  const engine = ground.engine ? unfitEngine(ground.engine, name, host.arch) : [];
  const found: Failure[] = [];
  if (ground.readOnly)
    found.push({
      what: `${dataDir} on ${name} is on a file system that is mounted read-only (${ground.readOnly}).`,
      fix: `Find out why there (\`dmesg | grep -i remount\` after a disk error), \`sudo mount -o remount,rw ${ground.readOnly}\`, or write another gpubox:host.dataDir.`,
    });
  const confined = ground.engine?.securityOptions.some((option) => option.startsWith("name=selinux"));
  if (confined && ground.selinuxType && !CONTAINER_TYPES.includes(ground.selinuxType))
    found.push({
      what: `SELinux on ${name} keeps containers from ${dataDir}: its label is ${ground.selinuxType}.`,
      fix: `Run there \`sudo mkdir -p ${dataDir} && sudo chcon -Rt ${CONTAINER_TYPES[0]} ${dataDir}\`, or start Docker without selinux-enabled.`,
    });
  return [...engine, ...found, ...unfitDevices(ground.devices, place)];
}

/** Why a clock is so wrong that downloads, packages and certificates fail; undefined for one that is not. */
export function wrongClock({ aheadSeconds }: HostGround, name: string): Failure | undefined {
  const by = Math.abs(aheadSeconds);
  if (by < WRONG_CLOCK_SECONDS) return undefined;
  const hours = Math.round(by / 3600);
  return {
    what: `The clock of ${name} is ${hours > 48 ? `${Math.round(hours / 24)} days` : `${hours} h`} ${aheadSeconds > 0 ? "ahead of" : "behind"} this machine's: packages, certificates and tokens would be refused.`,
    fix: "On the wrong one: `sudo timedatectl set-ntp true`, or `sudo date -s` and chrony; then run the command again.",
  };
}

/** Why a host has no room for what a preparation installs; undefined where it has. */
export function noRoom({ space }: HostGround, name: string): Failure | undefined {
  const full = space.find(
    ({ freeBytes, freeFiles }) =>
      freeBytes < refuseDiskGiB * 1024 ** 3 || (freeFiles !== undefined && freeFiles < refuseFiles),
  );
  if (!full) return undefined;
  const left =
    full.freeBytes < refuseDiskGiB * 1024 ** 3 ? gibibytes(full.freeBytes) : `${full.freeFiles} more files`;
  return {
    what: `The disk of ${name} has only ${left} free for ${full.folder}.`,
    fix: `Free at least ${refuseDiskGiB} GiB there: \`docker system df\`, \`sudo apt-get clean\`, \`sudo journalctl --vacuum-size=200M\`; or put a larger disk below ${full.folder}.`,
  };
}

/** What a host without systemd lacks, and what to do; undefined with systemd. */
export function withoutSystemd({ systemd, wsl }: HostGround, name: string): Failure | undefined {
  if (systemd) return undefined;
  return {
    what: `There is no systemd on ${name}: after a boot nothing starts Docker and the firewall rules by itself, and a shutdown does not end boxes in order.`,
    fix: wsl
      ? "Write `[boot]` and `systemd=true` in /etc/wsl.conf there, run `wsl --shutdown` on Windows, then `gpubox host prepare` again."
      : "Install systemd there (`sudo apt-get install systemd-sysv`, then reboot), or let its init run /usr/local/sbin/gpubox-docker-user and then dockerd at boot.",
  };
}
