import { hostSchema } from "../../configs/schema/host";
import { type HostGround, type Place, parseGround } from "../../operations/host/ground";
import type { DockerEngine } from "../../platform/docker/engine";

export const engine: DockerEngine = {
  version: "28.1.0",
  storage: "overlay2",
  dataRoot: "/var/lib/docker",
  memoryBytes: 64e9,
  cpus: 8,
  processor: "x86_64",
  securityOptions: ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
};

/** A host on which a box stands well. */
export const firm: HostGround = {
  ...parseGround(""),
  systemd: true,
  engine,
  space: [{ folder: "/var/lib/docker", freeBytes: 100e9, freeFiles: 1e6 }],
};

export const place = (host: Record<string, unknown> = {}, computesByKfd = false): Place => ({
  name: "ops@gpu1",
  host: hostSchema.parse({ docker: "ssh://ops@gpu1", ...host }),
  computesByKfd,
});
