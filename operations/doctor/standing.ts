import { dockerHostName } from "../../configs/network/engine";
import { sshAddress } from "../../configs/schema/address";
import type { StackConfig } from "../../configs/stack/config";
import type { DockerEngine } from "../../platform/docker/engine";
import { architectureOf } from "../../platform/docker/unfit";
import { computesByKfd } from "../host/deviceFiles";
import { readGround } from "../host/ground";
import { unfitHost, withoutSystemd } from "../host/unfit";
import type { HostFacts } from "./facts";
import type { Row } from "./row";
import { HOST_MS, withTimeout } from "./timeLimits";

/** Looks whether a box can stand on its host. */
export async function standingOf(
  config: StackConfig,
  engine: DockerEngine | undefined,
): Promise<Pick<HostFacts, "unfit" | "withoutSystemd">> {
  const read = await withTimeout(
    HOST_MS,
    readGround(config).catch(() => undefined),
  );
  if (!read) return {};
  const name = dockerHostName(config.host.docker);
  // The host itself may have no Docker CLI.
  const ground = { ...read, ...(engine ? { engine } : {}) };
  const remote = sshAddress(config.host.docker) !== undefined;
  // Of a host behind SSH the row `arch` tells it.
  const arch = (remote && architectureOf(ground.engine?.processor ?? "")) || config.host.arch;
  const host = { ...config.host, arch };
  const unfit = unfitHost(ground, { name, host, computesByKfd: computesByKfd(config) });
  return { unfit, ...(remote ? { withoutSystemd: withoutSystemd(ground, name) } : {}) };
}

/** Rows about whether a box can stand on its host at all. */
export const standingRows: Row[] = [
  {
    id: "unfit",
    symptom: "`up` refuses the host, or a container may not read or write a file of the box",
    cause:
      "Podman or an engine without root, a read-only file system, SELinux, or other groups of a GPU's device files",
    check: (_, { host }) => host.unfit,
  },
  {
    id: "boot",
    symptom: "after a boot the box, or its firewall rules, are not there",
    cause: "the host has no systemd, which starts Docker and what `gpubox host prepare` installed",
    level: "note",
    check: (_, { host }) => {
      if (host.remote === "here") return [];
      return host.unfit && (host.withoutSystemd ? [host.withoutSystemd] : []);
    },
  },
];
