import type { Locked } from "../../configs/models/facts";
import { lockedSource } from "../../configs/models/lock";
import { UserError } from "../../platform/process";
import { readModelLock, writeModelLock } from "../../platform/stack/modelLock";
import type { HubAccess } from "./hub";
import { currentRevision, readSource, resolveSource } from "./resolve";

/** The result for one source. */
export interface SourceChange {
  source: string;
  before: Locked | undefined;
  /** The new entry: `before` itself when nothing changed or the source could not be resolved. */
  after: Locked | undefined;
  /** Why it could not be resolved. */
  failure?: string;
}

/**
 * Resolves sources and writes them to the lock. An entry with an unchanged revision stays exactly as it is. One that
 * cannot be resolved keeps its old data or gets the reason, and does not prevent writing the others.
 */
export async function lockModels(
  projectDir: string,
  sources: string[],
  access: HubAccess,
): Promise<SourceChange[]> {
  const lock = readModelLock(projectDir);
  const changes: SourceChange[] = [];
  for (const source of [...new Set(sources)]) {
    const before = lockedSource(lock, source);
    const change = await resolveChange(source, before, access);
    if (change.after) lock[source] = change.after;
    else if (change.failure) lock[source] = { unresolved: change.failure };
    changes.push(change);
  }
  if (changes.some(({ before, after, failure }) => after !== before || (failure && !before)))
    writeModelLock(projectDir, lock);
  return changes;
}

/** Resolves one source, and writes nothing. */
export async function resolveChange(
  source: string,
  before: Locked | undefined,
  access: HubAccess,
): Promise<SourceChange> {
  try {
    const parsed = readSource(source);
    if (before?.revision && (await currentRevision(parsed, access)) === before.revision)
      return { source, before, after: before };
    const after = await resolveSource(source, access);
    // A file of the host has no revision. It is unchanged when everything but the date is equal.
    const same =
      before && JSON.stringify({ ...after, resolvedAt: before.resolvedAt }) === JSON.stringify(before);
    return { source, before, after: same ? before : after };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { source, before, after: before, failure: error.what };
  }
}
