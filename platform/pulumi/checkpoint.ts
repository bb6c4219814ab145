import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../process";
import { pulumiProject } from "../project";
import { refuseHeldLocks, type StackState, stackLockFiles } from "./state";

/**
 * Restores the last complete checkpoint of a stack whose file was cut short. Pulumi's file backend writes it in place,
 * so killing a process at that moment leaves a partial file, and every later command fails. Pulumi's own backup is one
 * step older: what that step created appears as an open operation or as an orphan on the host. The backend also writes
 * a file of attributes next to each of its files. It can do without one, but not with a partial one.
 *
 * @throws UserError when another run holds the stack, or when the backup is cut short as well
 */
export function restoreCheckpoint({ engine, stack, log }: StackState): void {
  const { name, stateDir } = pulumiProject(engine.projectDir);
  if (!stateDir) return;
  const file = join(stateDir, ".pulumi", "stacks", name, `${stack}.json`);
  const attributes = brokenAttributes(join(stateDir, ".pulumi"));
  // Without a file there is no stack. A backup then only shows that there once was one.
  const broken = existsSync(file) && !isWhole(file);
  if (!broken && attributes.length === 0) return;
  refuseHeldLocks(stackLockFiles(engine.projectDir, stack), stack);
  for (const path of attributes) rmSync(path);
  if (!broken) return;
  const backup = `${file}.bak`;
  if (!existsSync(backup) || !isWhole(backup))
    throw new UserError(
      `The state of the stack "${stack}" was cut short by a crash, and so was its backup.`,
      `Copy the newest file of ${join(stateDir, ".pulumi", "backups", name, stack)} to ${file} and run this again.`,
    );
  const restored = `${file}.new`;
  copyFileSync(backup, restored);
  renameSync(restored, file);
  log("  restored the state from its backup: an earlier run was killed while it wrote it");
}

function brokenAttributes(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".attrs"))
    .map((path) => join(folder, path))
    .filter((path) => !isWhole(path));
}

function isWhole(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, "utf8"));
    return true;
  } catch {
    return false;
  }
}
