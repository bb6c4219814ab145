import { reservedBytes } from "../capacity/device";
import type { SleepCommands } from "../engines/engine";
import type { EngineWatch } from "../engines/watch";
import type { GpuRequest, MountPlan, StepPlan } from "../kit/containerPlan";
import { rootScript } from "../kit/hostFiles";
import { MIB } from "../kit/sizes";
import { shellQuote } from "../kit/text";
import type { GpuConfig } from "../schema/gpu";

/** Where a backend's own files are mounted, read-only. */
const CONFIG_DIR = "/etc/gpubox";

/** Where assets/backend/device-lock.sh expects the lock files. */
const LOCK_DIR = "/run/gpubox/locks";

/** The program that wraps an engine's own entrypoint. */
export const LOCK_COMMAND = ["sh", `${CONFIG_DIR}/device-lock.sh`];

/** Files beside an engine's own: name there to path under assets/. */
const LOCK_ASSETS = {
  "device-lock.sh": "backend/device-lock.sh",
  "device-health.sh": "backend/device-health.sh",
  "device.sh": "backend/device.sh",
  "heal.sh": "health/heal.sh",
};

/** Those of an engine that is watched. */
const WATCH_ASSETS = { "hang.sh": "backend/hang.sh", "ask.sh": "backend/ask.sh" };

/** That of an engine whose device has no memory but the host's. */
const MEMORY_ASSETS = { "memory.sh": "backend/memory.sh" };

/**
 * MiB of the host's memory below which the newest load is ended: half of what the planner leaves to the host. Undefined for an engine
 * whose devices have memory of their own.
 */
export function memoryFloorMiB(gpus: GpuConfig[], { gpu }: Pick<LockedEngine, "gpu">): number | undefined {
  const shared = gpus.filter(({ id, unified }) => unified && gpu?.ids.includes(String(id)));
  if (shared.length === 0) return undefined;
  return Math.round(Math.max(...shared.map(reservedBytes)) / 2 / MIB);
}

/** What an engine's container says, as far as the lock wraps it. */
export interface LockedEngine {
  /** Devices by the ids of the host's config; absent on the CPU. */
  gpu?: GpuRequest;
  /** Not empty: the image's own entrypoint cannot be wrapped. */
  entrypoint: string[];
  env: Record<string, string>;
  mounts: MountPlan[];
  /** Exec form, `CMD` first: succeeds once the model is loaded. */
  healthTest: string[];
  /** Seconds from the engine's own start to that. */
  readySeconds: number;
  assets?: Record<string, string>;
  /** How it is told that it hangs. */
  watch?: EngineWatch;
  /** How it is put to sleep and woken, where it is. */
  sleep?: SleepCommands;
}

interface Turns {
  /** What {@link memoryFloorMiB} says. Only for an engine that is watched: who hangs and who takes too much is ended in one way. */
  floorMiB?: number;
}

/**
 * Wraps an engine's command so that engines which share a device load one after another: at `up`, after a crash, after a
 * reboot. Everybody takes the locks in the same order, so no two backends wait for each other. Its health check then also
 * asks whether the devices are still there. One that wakes takes its turn too. The same wrapper starts an engine again that
 * hangs. One on the CPU waits for nobody; where nothing tells that it hangs either, it stays as it is.
 *
 * @param dataDir the box's directory on the host
 */
export function takingTurns<T extends LockedEngine>(dataDir: string, engine: T, { floorMiB }: Turns = {}): T {
  const { gpu, watch, sleep } = engine;
  const devices = gpu?.ids ?? [];
  if (devices.length === 0 && !watch) return engine;
  const [, ...probe] = engine.healthTest;
  const locks: MountPlan = {
    kind: "directory",
    source: lockDirectory(dataDir),
    target: LOCK_DIR,
    readOnly: true,
  };
  return {
    ...engine,
    entrypoint: [...LOCK_COMMAND, ...engine.entrypoint],
    env: {
      ...engine.env,
      GPUBOX_LOCKS: devices.map(lockName).sort().join(" "),
      GPUBOX_READY_SECONDS: String(engine.readySeconds),
      GPUBOX_PROBE: probe.map(shellQuote).join(" "),
      ...(gpu?.vendor === "nvidia" && devices.length > 0 ? { GPUBOX_GPUS: String(devices.length) } : {}),
      ...(watch && watchVariables(watch)),
      ...(watch && floorMiB ? { GPUBOX_MEMORY_FLOOR: String(floorMiB) } : {}),
    },
    mounts: devices.length > 0 ? [...engine.mounts, locks] : engine.mounts,
    healthTest: ["CMD", "sh", `${CONFIG_DIR}/device-health.sh`],
    assets: {
      ...engine.assets,
      ...LOCK_ASSETS,
      ...(watch && WATCH_ASSETS),
      ...(watch && floorMiB && MEMORY_ASSETS),
    },
    // A sleeping engine passes its health check, which would free the device before it is awake.
    ...(sleep && {
      sleep: { ...sleep, wake: ["env", "GPUBOX_PROBE=false", ...LOCK_COMMAND, ...sleep.wake] },
    }),
  };
}

function watchVariables({ seconds, port, metricsPath, signs, path, body }: EngineWatch) {
  return {
    GPUBOX_HANG_SECONDS: String(seconds),
    GPUBOX_HANG_PORT: String(port),
    GPUBOX_HANG_METRICS: metricsPath,
    GPUBOX_HANG_SIGNS: signs.join("|"),
    GPUBOX_HANG_PATH: path,
    GPUBOX_HANG_BODY: body,
  };
}

/** Directory on the host with one file per device. A box has one `dataDir`, so all its engines share one set of locks. */
function lockDirectory(dataDir: string): string {
  return `${dataDir}/locks`;
}

/** Name of a device's lock file. A MIG slice has memory of its own, and so a lock of its own. */
function lockName(device: string): string {
  return `device-${device}`;
}

/** Keeps existing files, even for devices that are gone: a new file under an old name would be another lock. */
const MAKE_LOCKS = `set -eu
dir=$1
shift
install -d -m 0755 "$dir"
for name in "$@"; do
  [ -e "$dir/$name" ] || : > "$dir/$name"
  chmod 0644 "$dir/$name"
done`;

/** The step that creates the lock files before any backend starts. Read access is enough to lock a file. */
export function planDeviceLockFiles(image: string, dataDir: string, devices: string[]): StepPlan {
  const names = devices.map(lockName).sort();
  return {
    name: "device-locks",
    script: rootScript(image, dataDir, MAKE_LOCKS, [lockDirectory(dataDir), ...names]),
  };
}

/**
 * Seconds for which Docker does not call a container unhealthy that waits for its turn on a device. It is no sum of its neighbours'
 * loads: such a sum would replace them all when a model comes or goes.
 */
const QUEUE_SECONDS = 3600;

/** Start period of an engine's health check in seconds: its own load, and the wait where it shares a device with others or may. */
export function startPeriodOf({ gpu, readySeconds }: Pick<LockedEngine, "gpu" | "readySeconds">): number {
  return readySeconds + (gpu ? QUEUE_SECONDS : 0);
}

export interface Starter {
  /** Logical name of the backend. */
  name: string;
  devices: string[];
  /** Seconds that it needs by itself. */
  readySeconds: number;
}

/**
 * Seconds from the start of all backends until each must be healthy. The last in a queue waits for all others that share a
 * device with it, and for those that they wait for.
 *
 * @returns name to seconds, for `ContainerPlan.readySeconds`
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
