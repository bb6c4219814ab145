import type { DeviceId } from "../schema/gpu";
import { onHost } from "./hostFiles";
import { envFile } from "./text";
import type { FilePlan, MountPlan, StepPlan, TextPart } from "./types";

/** Where a backend's directory with the files below is mounted, read-only. */
const CONFIG_DIR = "/etc/gpubox";

/** Where assets/backend/entrypoint.sh expects the lock files. */
const LOCK_DIR = "/run/gpubox/locks";

const ENV_FILE = "backend.env";

/** Files of a backend's directory: name there to path under assets/. */
export const BACKEND_ASSETS: Record<string, string> = {
  "entrypoint.sh": "backend/entrypoint.sh",
  "health.sh": "backend/health.sh",
  "probe.sh": "backend/probe.sh",
};

export interface DeviceLockOptions {
  /** Devices as `gpubox:host.gpus` declares them; empty for a backend on the CPU, which waits for nobody. */
  devices: DeviceId[];
  /** Whether the devices are NVIDIA's: then the container watches that it does not lose them. */
  nvidia: boolean;
  /** Port of the engine inside the container. */
  port: number;
  /** Path that answers 200 once the model is loaded. */
  healthPath: string;
  /** Seconds from the engine's start, its turn excluded, until it must answer. */
  readySeconds: number;
  /** The engine's own entrypoint and command. */
  command: string[];
  /** Environment from secrets, by variable; it goes through a file. Default: none. */
  secretEnv?: Record<string, TextPart[]>;
}

/** What a backend's container gets, so that its engine starts when it is its turn. */
export interface DeviceLockPlan {
  entrypoint: string[];
  command: string[];
  env: Record<string, string>;
  mounts: MountPlan[];
  /** Exec form, for `HealthPlan.test`. */
  healthTest: string[];
  /** Files of the backend's directory beside {@link BACKEND_ASSETS}. */
  files: Record<string, FilePlan>;
}

/**
 * Wraps an engine's command so that engines which share a device load one after another: at `up`, after a crash, after a
 * reboot. Everybody takes the locks in the same order, so no two backends wait for each other.
 *
 * @param dataDir the box's directory on the host
 */
export function deviceLock(dataDir: string, options: DeviceLockOptions): DeviceLockPlan {
  const { devices, port, healthPath, secretEnv } = options;
  const locks = devices.map(lockName).sort();
  const mount = (source: string, target: string): MountPlan => ({
    kind: "directory",
    source,
    target,
    readOnly: true,
  });
  return {
    entrypoint: ["sh", `${CONFIG_DIR}/entrypoint.sh`],
    command: options.command,
    env: {
      GPUBOX_PORT: String(port),
      GPUBOX_HEALTH_PATH: healthPath,
      GPUBOX_READY_SECONDS: String(options.readySeconds),
      ...(locks.length > 0 ? { GPUBOX_LOCKS: locks.join(" ") } : {}),
      ...(locks.length > 0 && options.nvidia ? { GPUBOX_GPUS: String(locks.length) } : {}),
      ...(secretEnv ? { GPUBOX_ENV_FILE: `${CONFIG_DIR}/${ENV_FILE}` } : {}),
    },
    mounts: locks.length > 0 ? [mount(lockDirectory(dataDir), LOCK_DIR)] : [],
    healthTest: ["CMD", "sh", `${CONFIG_DIR}/health.sh`],
    files: secretEnv ? { [ENV_FILE]: envFile(secretEnv) } : {},
  };
}

/** Directory on the host with a file a device. A box has one `dataDir`, and so all of its engines one set of locks. */
export function lockDirectory(dataDir: string): string {
  return `${dataDir}/locks`;
}

/** Name of a device's lock file. A MIG slice has memory of its own, and so a lock of its own. */
export function lockName(device: DeviceId): string {
  return `device-${device}`;
}

/** A new file under an old name would be another lock: existing ones stay, also those of devices that are gone. */
const MAKE_LOCKS = `set -eu
dir=$1
shift
install -d -m 0755 "$dir"
for name in "$@"; do
  [ -e "$dir/$name" ] || : > "$dir/$name"
  chmod 0644 "$dir/$name"
done`;

/** Makes the lock files; comes before every backend. A container needs no more than to read one to lock it. */
export function lockFiles(image: string, dataDir: string, devices: DeviceId[]): StepPlan {
  const names = devices.map(lockName).sort();
  return {
    name: "device-locks",
    script: onHost(image, dataDir, MAKE_LOCKS, [lockDirectory(dataDir), ...names]),
  };
}

export interface Starter {
  /** Logical name of the backend. */
  name: string;
  devices: DeviceId[];
  /** Seconds that it needs by itself. */
  readySeconds: number;
}

/**
 * Seconds from the start of all backends until each must be healthy: the last one in a row waits for every other that it
 * shares a device with, and for those that these wait for.
 *
 * @returns name to seconds, for `ContainerPlan.readySeconds` and the health check's start period
 */
export function startDeadlines(starters: Starter[]): Record<string, number> {
  return Object.fromEntries(
    starters.map((starter) => {
      const row = inOneRow(starters, starter);
      return [starter.name, row.reduce((sum, { readySeconds }) => sum + readySeconds, 0)];
    }),
  );
}

function inOneRow(starters: Starter[], first: Starter): Starter[] {
  const row = new Set([first]);
  const devices = new Set(first.devices);
  for (let before = 0; before !== row.size; ) {
    before = row.size;
    for (const starter of starters)
      if (starter.devices.some((device) => devices.has(device))) {
        row.add(starter);
        for (const device of starter.devices) devices.add(device);
      }
  }
  return [...row];
}
