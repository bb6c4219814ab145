import type { WritableDirectoryPlan } from "../kit/containerPlan";
import { shellQuote } from "../kit/text";
import type { LockedEngine } from "./deviceLock";
import { HAPROXY } from "./edge";

/** Where assets/backend/seat.sh expects what it tells its group's scheduler, and what that orders. */
const SEAT_DIR = "/run/gpubox/seat";
const ORDERS_DIR = "/run/gpubox/orders";

/** Seconds beyond the engine's grace, in which the seat kills what is left and says that it is away, before Docker kills the seat. */
const LAST_WORD_SECONDS = 5;

const SEAT_ASSETS = { "seat.sh": "backend/seat.sh", "seat-health.sh": "backend/seat-health.sh" };

/** What an engine's container says, as far as the seat wraps it. */
export interface SeatedEngine extends LockedEngine {
  port: number;
  stopGraceSeconds: number;
}

/**
 * Wraps an engine's command so that its container runs without the engine until the group's scheduler says so.
 *
 * @param probe the engine's own health check, exec form, `CMD` first
 * @param host where the seat's state and the scheduler's orders lie on the host
 * @param loadSeconds that it may take to load, its turn on shared devices included
 */
export function seated<T extends SeatedEngine>(
  engine: T,
  probe: string[],
  host: { seat: string; orders: string },
  loadSeconds: number,
): T {
  const words = (command: string[]) => command.map(shellQuote).join(" ");
  const { sleep } = engine;
  return {
    ...engine,
    entrypoint: ["sh", "/etc/gpubox/seat.sh", ...engine.entrypoint],
    env: {
      ...engine.env,
      GPUBOX_SEAT_PROBE: words(probe.slice(1)),
      GPUBOX_SEAT_HEALTH: words(engine.healthTest.slice(1)),
      GPUBOX_SEAT_SECONDS: String(loadSeconds),
      GPUBOX_SEAT_GRACE: String(engine.stopGraceSeconds),
      GPUBOX_SEAT_PORT: String(engine.port),
      ...(sleep && { GPUBOX_SEAT_SLEEP: words(sleep.sleep), GPUBOX_SEAT_WAKE: words(sleep.wake) }),
    },
    mounts: [
      ...engine.mounts,
      { kind: "directory" as const, source: host.seat, target: SEAT_DIR, readOnly: false },
      { kind: "directory" as const, source: host.orders, target: ORDERS_DIR, readOnly: true },
    ],
    stopGraceSeconds: engine.stopGraceSeconds + LAST_WORD_SECONDS,
    healthTest: ["CMD", "sh", "/etc/gpubox/seat-health.sh"],
    assets: { ...engine.assets, ...SEAT_ASSETS },
  };
}

/** Where the seats of a group lie on the host. Only its scheduler has the whole directory. */
export function seatsDirectory(dataDir: string, group: string): WritableDirectoryPlan {
  return { path: `${dataDir}/group-${group}-seats`, uid: HAPROXY, gid: HAPROXY };
}

/**
 * The directories of one seat: `seat`, which its engine's user writes and the scheduler reads, and `orders`, which the scheduler writes
 * and the engine's group reads. No slug begins with a dot.
 */
export function seatDirectories(
  dataDir: string,
  group: string,
  slug: string,
  { uid, gid }: { uid: number; gid: number },
): { seat: WritableDirectoryPlan; orders: WritableDirectoryPlan } {
  const seats = seatsDirectory(dataDir, group).path;
  return {
    seat: { path: `${seats}/${slug}`, uid, gid: HAPROXY, sharesGroup: true },
    orders: { path: `${seats}/.orders/${slug}`, uid: HAPROXY, gid, sharesGroup: true },
  };
}
