import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ModelLock } from "../../configs/models/facts";
import { MODEL_LOCK_FILE, modelLockSchema } from "../../configs/models/lock";
import { UserError } from "../process";

/**
 * The project's model lock; empty without a file.
 *
 * @throws UserError when the file is not valid
 */
export function readModelLock(projectDir: string): ModelLock {
  const path = join(projectDir, MODEL_LOCK_FILE);
  if (!existsSync(path)) return {};
  const fix = "Restore it from git, or remove it and run `gpubox models lock`.";
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new UserError(`${MODEL_LOCK_FILE} is not JSON.`, fix);
  }
  const parsed = modelLockSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new UserError(`${MODEL_LOCK_FILE} is not valid: ${problems.slice(0, 5).join("; ")}.`, fix);
}

/** Writes the lock with sorted sources, so that a reviewer sees only what changed. */
export function writeModelLock(projectDir: string, lock: ModelLock): void {
  const path = join(projectDir, MODEL_LOCK_FILE);
  const sorted = Object.fromEntries(Object.entries(lock).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(`${path}.new`, `${JSON.stringify(sorted, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}
