import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BackupJob } from "../../configs/plan/backup";
import { UserError } from "../../platform/process";
import { ensureProjectFolders, projectPaths } from "../../platform/project";
import { type CheckedBackup, type Trust, withChecked } from "./checked";
import { isBackup, type Manifest, readManifest } from "./manifest";
import { resticSnapshots, takeFromRestic } from "./restic";

/** Where backups of a job go and come from. */
export interface Store {
  projectDir: string;
  job: BackupJob;
  /** A directory from the command line, relative to the working directory. */
  directory?: string;
}

/** A backup that can be restored. */
export interface StoredBackup {
  /** Folder, or snapshot of the repository. */
  name: string;
  madeAt: string;
  /** Whether this stack's salt key signed its manifest; absent where that shows only when the repository is read. */
  signed?: boolean;
}

/** Absolute path of the directory that backups lie in; undefined where they lie in a repository. */
export function directoryOf({ projectDir, job, directory }: Store): string | undefined {
  if (directory) return resolve(directory);
  if (job.restic) return undefined;
  return job.directory ?? join(projectPaths(projectDir).root, "backups");
}

/**
 * An empty folder for a new backup, beside the others, whose name says that it is not whole yet.
 *
 * @throws UserError when the directory cannot be made
 */
export function newFolder(store: Store): string {
  const directory = directoryOf(store) ?? stagingOf(store);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return mkdtempSync(join(directory, ".partial-"));
  } catch (error) {
    throw new UserError(
      `Backups cannot be written to ${directory}: ${(error as Error).message.split(",")[0]}.`,
      "Name another one: gpubox:backup.directory, or --to.",
    );
  }
}

/** Folder for copies in the making, which only this user can read. */
function stagingOf({ projectDir }: Store): string {
  ensureProjectFolders(projectDir);
  const staging = join(projectPaths(projectDir).root, "staging");
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  return staging;
}

/** Gives a complete backup its final name, the stack and the time. Returns its path. */
export function settle(folder: string, { stack, madeAt }: Manifest): string {
  const moment = madeAt.replace(/[-:]|\.\d+/g, "");
  const base = resolve(folder, "..", `${stack}-${moment}`);
  let path = base;
  for (let n = 2; existsSync(path); n++) path = `${base}-${n}`;
  renameSync(folder, path);
  return path;
}

/**
 * Removes all but the newest backups of the stack. One that is not signed never takes the place of one that is. Returns the paths
 * of those that went.
 */
export function prune(store: Store): string[] {
  const old = inDirectory(store).slice(store.job.keep);
  for (const { name } of old) rmSync(name, { recursive: true });
  return old.map(({ name }) => name);
}

/** Backups of the stack, newest first, those without this stack's signature last. */
export async function keptBackups(store: Store): Promise<StoredBackup[]> {
  if (directoryOf(store)) return inDirectory(store);
  const found = await resticSnapshots(store.job.restic!, store.job.stack);
  return found.map(({ id, madeAt }) => ({ name: id, madeAt }));
}

/**
 * Does something with a backup, after it was found to be as it was written.
 *
 * @param from folder or snapshot; undefined: the newest
 * @throws UserError where there is none, or one that is altered or not to be trusted
 */
export async function withBackup<T>(
  store: Store,
  from: string | undefined,
  { unsigned }: Pick<Trust, "unsigned">,
  action: (backup: CheckedBackup) => Promise<T>,
): Promise<T> {
  const trust: Trust = { signingKey: store.job.signingKey, unsigned };
  const check = (folder: string) => withChecked(stagingOf(store), folder, trust, action);
  if (from && isBackup(resolve(from))) return check(resolve(from));
  const kept = await keptBackups(store);
  const found = from ? kept.find(({ name }) => name === from) : kept[0];
  if (!found)
    throw new UserError(
      from ? `There is no backup ${from}.` : `There is no backup of the stack ${store.job.stack}.`,
      "`gpubox backup --list` shows them, `gpubox backup` makes one.",
    );
  if (directoryOf(store)) return check(found.name);
  const folder = newFolder(store);
  try {
    await takeFromRestic(store.job.restic!, found.name, folder);
    return await check(backupBelow(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inDirectory(store: Store): StoredBackup[] {
  const directory = directoryOf(store);
  if (!directory || !existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => join(directory, entry.name))
    .filter(isBackup)
    .flatMap((name) => keptIn(name, store))
    .sort((a, b) => (rank(a) < rank(b) ? 1 : -1));
}

/** Unreadable ones are left out; --from says why. */
function keptIn(name: string, { job }: Store): (StoredBackup & { signed: boolean })[] {
  try {
    const { parse, signature } = readManifest(name, job.signingKey);
    const { stack, madeAt } = parse();
    if (stack !== job.stack) return [];
    return [{ name, madeAt, signed: signature === "right" }];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

function rank({ signed, madeAt, name }: StoredBackup): string {
  return `${signed ? 1 : 0} ${madeAt} ${name}`;
}

/** restic restores a folder under its whole path. */
function backupBelow(folder: string): string {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isDirectory() && isBackup(join(entry.parentPath, entry.name)),
  );
  if (!found) throw new UserError("The snapshot holds no backup.", "Name another one.");
  return join(found.parentPath, found.name);
}
