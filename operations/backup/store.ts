import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { BackupJob } from "../../configs/plan/backup";
import { UserError } from "../../platform/process";
import { ensureProjectFolders, projectPaths } from "../../platform/project";
import { isBackup, type Manifest, readManifest } from "./manifest";
import { resticSnapshots, takeFromRestic } from "./restic";

/** Where backups of a job go and come from. */
export interface Store {
  projectDir: string;
  job: BackupJob;
  /** A directory named at the command line; relative to where the command was typed. */
  directory?: string;
}

/** A backup that can be restored. */
export interface Kept {
  /** Folder, or snapshot of the repository. */
  name: string;
  madeAt: string;
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
  const directory = directoryOf(store) ?? join(projectPaths(store.projectDir).root, "staging");
  ensureProjectFolders(store.projectDir);
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

/** Gives a whole backup its name: the stack and the moment. Returns its path. */
export function settle(folder: string, { stack, madeAt }: Manifest): string {
  const moment = madeAt.replace(/[-:]|\.\d+/g, "");
  const base = resolve(folder, "..", `${stack}-${moment}`);
  let path = base;
  for (let n = 2; existsSync(path); n++) path = `${base}-${n}`;
  renameSync(folder, path);
  return path;
}

/** Removes all but the newest backups of the stack. Returns the paths of those that went. */
export function prune(store: Store): string[] {
  const old = inDirectory(store).slice(store.job.keep);
  for (const { name } of old) rmSync(name, { recursive: true });
  return old.map(({ name }) => name);
}

/** Backups of the stack, newest first. */
export async function keptBackups(store: Store): Promise<Kept[]> {
  if (directoryOf(store)) return inDirectory(store);
  const found = await resticSnapshots(store.job.restic!, store.job.stack);
  return found.map(({ id, madeAt }) => ({ name: id, madeAt }));
}

/**
 * Does something with a backup's folder.
 *
 * @param from folder or snapshot; undefined: the newest
 * @throws UserError where there is none
 */
export async function withBackup<T>(
  store: Store,
  from: string | undefined,
  action: (folder: string) => Promise<T>,
): Promise<T> {
  if (from && isBackup(resolve(from))) return action(resolve(from));
  const kept = await keptBackups(store);
  const found = from ? kept.find(({ name }) => name === from) : kept[0];
  if (!found)
    throw new UserError(
      from ? `There is no backup ${from}.` : `There is no backup of the stack ${store.job.stack}.`,
      "`npm run backup -- --list` shows them, `npm run backup` makes one.",
    );
  if (directoryOf(store)) return action(found.name);
  const folder = newFolder(store);
  try {
    await takeFromRestic(store.job.restic!, found.name, folder);
    return await action(backupBelow(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inDirectory(store: Store): Kept[] {
  const directory = directoryOf(store);
  if (!directory || !existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => join(directory, entry.name))
    .filter(isBackup)
    .map((name) => ({ name, manifest: readManifest(name) }))
    .filter(({ manifest }) => manifest.stack === store.job.stack)
    .map(({ name, manifest }) => ({ name, madeAt: manifest.madeAt }))
    .sort((a, b) => (`${a.madeAt} ${a.name}` < `${b.madeAt} ${b.name}` ? 1 : -1));
}

/** restic restores a folder under its whole path. */
function backupBelow(folder: string): string {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find(
    (entry) => entry.isDirectory() && isBackup(join(entry.parentPath, entry.name)),
  );
  if (!found) throw new UserError("The snapshot holds no backup.", "Name another one.");
  return join(found.parentPath, found.name);
}
