import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../../platform/process";

/** Milliseconds between two attempts to get a place. */
const LOOK_MS = 100;

/**
 * Runs `work` while holding a place. There are as many places as the machine has cores, across all processes of this
 * user: a starting LiteLLM takes a core, and twenty at once would all be late. A place is a lock, which the kernel
 * releases when its holder dies.
 *
 * @param folder contains the locks
 * @param waiting called once when no place is free at first
 */
export async function inPlace<T>(
  work: () => Promise<T>,
  waiting: () => void,
  folder = join(tmpdir(), `gpubox-job-starts-${process.getuid?.() ?? 0}`),
): Promise<T> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const places = Array.from({ length: availableParallelism() }, (_, place) => join(folder, `place-${place}`));
  const holder = await takePlace(places, waiting);
  try {
    return await work();
  } finally {
    holder.stdin?.end();
  }
}

async function takePlace(places: string[], waiting: () => void): Promise<ChildProcess> {
  for (let look = 0; ; look++) {
    for (const place of places) {
      const holder = await tryPlace(place);
      if (holder) return holder;
    }
    if (look === 0) waiting();
    await sleep(LOOK_MS + Math.random() * LOOK_MS);
  }
}

/** A child that holds the lock until its input closes, which also happens when this process ends. */
function tryPlace(place: string): Promise<ChildProcess | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn("flock", ["--nonblock", place, "sh", "-c", "echo held; exec cat >/dev/null"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.once("error", () =>
      reject(new UserError("The command flock is missing.", "Install the package util-linux.")),
    );
    child.stdin.on("error", () => {});
    child.stdout.once("data", () => resolve(child));
    child.once("close", () => resolve(undefined));
  });
}
