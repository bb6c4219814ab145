import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";

/** The last commit before the rooms were built anew. A box of it is what `up` has to take over without a loss. */
export const PREVIOUS_RELEASE = "11e648c5032864f07b22d2777fe3bd27a1b00075";

const BIG = { maxBuffer: 512 * 1024 * 1024 };

/** True in a clone with the history; a shallow one and an archive have none of it. */
export const hasPreviousRelease =
  spawnSync("git", ["cat-file", "-e", `${PREVIOUS_RELEASE}^{tree}`], { cwd: packageDir }).status === 0;

function git(...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync("git", args, { cwd: packageDir, ...BIG });
  if (status !== 0) throw new Error(`git ${args[0]} failed: ${stderr}`);
  return stdout;
}

/** Makes `dir` what a clone of the previous release is after its `npm ci`. */
export function placePreviousRelease(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const unpacked = spawnSync("tar", ["-x", "-C", dir], { input: git("archive", PREVIOUS_RELEASE) });
  if (unpacked.status !== 0) throw new Error(`the release could not be unpacked: ${unpacked.stderr}`);
  const installed = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: dir, ...BIG });
  if (installed.status !== 0) throw new Error(`npm ci of the release failed: ${installed.stderr}`);
}

/** Removes what {@link placePreviousRelease} brought. What its program made stays: stack configs, state, records. */
export function removePreviousRelease(dir: string): void {
  const files = git("ls-tree", "-r", "-z", "--name-only", PREVIOUS_RELEASE).toString().split("\0");
  for (const file of files.filter(Boolean)) rmSync(join(dir, file), { force: true });
  rmSync(join(dir, "node_modules"), { recursive: true, force: true });
}
