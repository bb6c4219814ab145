import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BackupJob } from "../../configs/plan/backup";
import { UserError } from "../../platform/process";
import { ensureProjectFolders, projectPaths } from "../../platform/project";
import { type CheckedBackup, type Trust, withChecked } from "./checked";
import { isBackup, type Manifest, readManifest } from "./manifest";
import { resticSnapshots, takeFromRestic } from "./restic";

/** Where a job's backups are stored. */
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
  /** Whether this stack's salt key signed its manifest. Absent when only reading the repository would show that. */
  signed?: boolean;
}

/** Absolute path of the directory with the backups; undefined when a repository has them. */
export function directoryOf({ projectDir, job, directory }: Store): string | undefined {
  if (directory) return resolve(directory);
  if (job.restic) return undefined;
  return job.directory ?? join(projectPaths(projectDir).root, "backups");
}

/**
 * Creates an empty folder for a new backup, next to the others. Its name marks it as incomplete.
 *
 * @throws UserError when the directory cannot be created
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

/** Folder for unfinished copies, which only this user can read. */
function stagingOf({ projectDir }: Store): string {
  ensureProjectFolders(projectDir);
  const staging = join(projectPaths(projectDir).root, "staging");
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  return staging;
}

/** Gives a complete backup its final name from stack and time. Returns its path. */
export function settle(folder: string, { stack, madeAt }: Manifest): string {
  const moment = madeAt.replace(/[-:]|\.\d+/g, "");
  const base = resolve(folder, "..", `${stack}-${moment}`);
  let path = base;
  for (let n = 2; existsSync(path); n++) path = `${base}-${n}`;
  renameSync(folder, path);
  return path;
}

/**
 * Removes all but the stack's newest backups. An unsigned one never displaces a signed one. Returns the removed paths.
 */
export function prune(store: Store): string[] {
  const old = inDirectory(store).slice(store.job.keep);
  for (const { name } of old) rmSync(name, { recursive: true });
  return old.map(({ name }) => name);
}

/** Backups of the stack: newest first, those without this stack's signature last. */
export async function keptBackups(store: Store): Promise<StoredBackup[]> {
  if (directoryOf(store)) return inDirectory(store);
  const found = await resticSnapshots(store.job.restic!, store.job.stack);
  return found.map(({ id, madeAt }) => ({ name: id, madeAt }));
}

/**
 * Lends a backup after checking it.
 *
 * @param from folder or snapshot; undefined: the newest
 * @throws UserError when there is none, or when it was changed or is not trusted
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

/** Skips unreadable ones; `--from` says why one is unreadable. */
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
  if (!found) throw new UserError("The snapshot contains no backup.", "Name another one.");
  return join(found.parentPath, found.name);
}
