import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";

/** A lock expires after this many milliseconds, the time of two slow handshakes. By then another process may have the holder's PID. */
const STALE_MS = 180_000;

/** Milliseconds between two tries. */
const WAIT_MS = 100;

/**
 * Does something while no other process of this machine holds the same lock file. Blocks the event loop. A crashed
 * process holds nothing.
 */
export function locked<T>(path: string, action: () => T): T {
  while (!take(path)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  try {
    return action();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    if (isStale(path)) rmSync(path, { force: true });
    return false;
  }
}

function isStale(path: string): boolean {
  try {
    const holder = Number(readFileSync(path, "utf8"));
    return Date.now() - statSync(path).mtimeMs > STALE_MS || (holder > 0 && !lives(holder));
  } catch {
    // The holder has released it meanwhile.
    return false;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
