import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";

/** Milliseconds between two bytes: less than any server takes a session for idle. */
const BEAT_MS = 60_000;

const held = new Map<string, ChildProcess>();

/**
 * Keeps a connection in use until this process ends, by a session that only waits. Some servers close a connection
 * without one (`UnusedConnectionTimeout`), and so does our own client after ten minutes, for example while images are
 * built here. The session ends with this process, however that ends, because its input does.
 *
 * @param args arguments of `ssh` for the connection
 */
export function holdConnection(folder: string, args: string[]): void {
  const before = held.get(folder);
  if (before && before.exitCode === null && before.signalCode === null) return;
  // A session of its own, so that Ctrl-C at this terminal does not reach it.
  const child = spawn("ssh", [...args, "cat >/dev/null"], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  held.set(folder, child);
  const beat = setInterval(() => child.stdin.write("\n"), BEAT_MS);
  child.on("error", () => clearInterval(beat));
  child.on("close", () => clearInterval(beat));
  child.stdin.on("error", () => {});
  // None of them keeps this process from ending.
  beat.unref();
  child.unref();
  (child.stdin as Socket).unref();
}

/** Lets a connection go, which is about to be closed. */
export function releaseConnection(folder: string): void {
  held.get(folder)?.stdin?.destroy();
  held.delete(folder);
}
