import { GIB, gibibytes } from "../../configs/kit/sizes";
import { refuseFiles } from "../../platform/machine";
import type { Finding, Row } from "./row";

/** Below this much free disk no image or model fits any more, and `up` refuses. */
const LOW_DISK_GIB = 3;

/** Share of the host's memory below which the kernel begins to kill, in percent. */
const LOW_MEMORY_PERCENT = 5;

/**
 * Product names round up by less than this: an "80 GB" GPU has 81,559 MiB. A person may also declare less on purpose.
 */
const NAME_ROUNDS_UP = 1.01;

/** For a host behind SSH, the row `prepared` covers this. */
const firewallRow: Row = {
  id: "firewall",
  symptom: "a container reaches a service of the host, or the cloud's metadata address",
  cause: "the rules of `gpubox host prepare` are missing",
  level: "note",
  check: ({ stack }, { host }) => {
    if (host.remote !== undefined && host.remote !== "here") return [];
    return host.firewall?.map((does) => ({
      what: `This machine lets the box's containers reach its own ports and metadata addresses. Missing: ${does}.`,
      fix: `Run \`gpubox host prepare --stack ${stack}\`; it shows its plan first.`,
    }));
  },
};

/** Rows about the host. Add rows on its driver, Docker or clock here. */
export const hostRows: Row[] = [
  {
    id: "disk",
    symptom: "`no space left on device`; pulls, downloads or Postgres fail",
    cause: "the disk of Docker or of the data directory is full",
    check: (_, { host }) =>
      host.disks
        ?.filter(({ freeBytes, freeFiles }) => freeBytes < LOW_DISK_GIB * GIB || fewFiles(freeFiles))
        .map(({ folders, freeBytes, freeFiles }) => ({
          what: fewFiles(freeFiles)
            ? `Only ${freeFiles} more files fit on the disk of ${folders.join(" and ")}: it has no inodes left.`
            : `Only ${gibibytes(freeBytes)} are free for ${folders.join(" and ")}.`,
          fix: "Run `gpubox gc --yes`, then look at `docker system df`.",
        })),
  },
  {
    id: "host-memory",
    symptom: "containers are killed although they stay below their limits",
    cause: "the machine itself is out of memory",
    check: (_, { host }) => {
      if (!host.memory) return undefined;
      const { totalBytes, availableBytes } = host.memory;
      if (availableBytes >= (totalBytes * LOW_MEMORY_PERCENT) / 100) return [];
      return [
        {
          what: `Of the host's ${gibibytes(totalBytes)} of memory only ${gibibytes(availableBytes)} are available.`,
          fix: "Stop a model (`gpubox model stop MODEL`), or lower memoryMiB of what needs less.",
        },
      ];
    },
  },
  {
    id: "gpu",
    symptom: "a model does not start: no device, `CUDA error`, `Unable to determine the device handle`",
    cause: "a declared GPU is lost or smaller than declared, or the driver does not answer",
    check: ({ stack }, { host }) => {
      if (!host.gpus) return undefined;
      const { declared, found } = host.gpus;
      if ("failed" in found)
        return [
          {
            what: `The NVIDIA driver does not answer: ${found.failed}.`,
            fix: "Look at `dmesg | grep -i -e nvrm -e xid`; a driver that was updated needs a reboot.",
          },
        ];
      return declared.flatMap(({ id, memoryMiB }): Finding[] => {
        if (!found.ids.includes(id))
          return [
            {
              what: `The host has no GPU ${id}, which Pulumi.${stack}.yaml declares.`,
              fix: "Look at `dmesg | grep -i xid` for a lost device (a reboot brings it back), or correct gpubox:host.gpus.",
            },
          ];
        const real = found.memoryMiB[id];
        if (real === undefined || memoryMiB <= real * NAME_ROUNDS_UP) return [];
        return [
          {
            what: `GPU ${id} has ${real} MiB, and Pulumi.${stack}.yaml declares ${memoryMiB} MiB: models are planned onto memory that is not there.`,
            fix: `Set memoryGiB of that device in gpubox:host.gpus to ${gib(real)}.`,
          },
        ];
      });
    },
  },
  firewallRow,
];

function fewFiles(freeFiles: number | undefined): boolean {
  return freeFiles !== undefined && freeFiles < refuseFiles;
}

/** MiB as GiB, rounded down to hundredths. */
function gib(mib: number): number {
  return Math.floor((mib / 1024) * 100) / 100;
}
