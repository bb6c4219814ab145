import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LockedModel, ModelLock } from "../../configs/models/facts";
import { lockedModel, MODEL_LOCK_FILE, modelLockSchema } from "../../configs/models/lock";
import { UserError } from "../process";
import type { HubAccess } from "./hub";
import { currentRevision, resolveModel } from "./resolve";
import { parseSource } from "./source";

/** What became of one source. */
export interface ModelChange {
  source: string;
  before: LockedModel | undefined;
  /** The entry from now on: `before` itself where nothing changed or the source could not be resolved. */
  after: LockedModel | undefined;
  /** Why it could not be resolved. */
  failure?: string;
}

/**
 * The project's model lock; empty where there is no file yet.
 * @throws UserError when the file is not valid
 */
export function readModelLock(projectDir: string): ModelLock {
  const path = join(projectDir, MODEL_LOCK_FILE);
  if (!existsSync(path)) return {};
  const fix = "Restore it from git, or remove it and run `npm run models lock`.";
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

/** Writes the lock, its sources sorted, so that a reviewer sees only what changed. */
export function writeModelLock(projectDir: string, lock: ModelLock): void {
  const path = join(projectDir, MODEL_LOCK_FILE);
  const sorted = Object.fromEntries(Object.entries(lock).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(`${path}.new`, `${JSON.stringify(sorted, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * Resolves sources and writes them to the lock. An entry whose revision did not change stays as it is, to the letter; one
 * that cannot be resolved keeps what it had, and the others are written all the same.
 */
export async function lockModels(
  projectDir: string,
  sources: string[],
  access: HubAccess,
): Promise<ModelChange[]> {
  const lock = readModelLock(projectDir);
  const changes: ModelChange[] = [];
  for (const source of [...new Set(sources)]) {
    const before = lockedModel(lock, source);
    const change = await resolveChange(source, before, access);
    if (change.after) lock[source] = change.after;
    changes.push(change);
  }
  if (changes.some(({ before, after }) => after !== before)) writeModelLock(projectDir, lock);
  return changes;
}

async function resolveChange(
  source: string,
  before: LockedModel | undefined,
  access: HubAccess,
): Promise<ModelChange> {
  try {
    const parsed = parseSource(source);
    if (before?.revision && (await currentRevision(parsed, access)) === before.revision)
      return { source, before, after: before };
    const after = await resolveModel(source, access);
    // A file of the host has no revision: it is the same when all but the date is.
    const same =
      before && JSON.stringify({ ...after, resolvedAt: before.resolvedAt }) === JSON.stringify(before);
    return { source, before, after: same ? before : after };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { source, before, after: before, failure: error.message };
  }
}
