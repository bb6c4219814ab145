import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { UserError } from "../../platform/process";
import { writePrivateFile } from "../../platform/project";
import type { FileOwner } from "./createArguments";
import { EDGE_FOLDER } from "./edge";
import { ENV_FILE } from "./plan";
import { type JobRecord, recordSchema } from "./record";

/** `nobody` of the gateway's image, which runs root's jobs. */
const NOBODY = 65534;

/** Parent of the jobs' folders. Default: artifacts/litellm of the project. */
export function artifactsFolder(projectDir: string, artifacts?: string): string {
  return artifacts === undefined ? join(projectDir, "artifacts", "litellm") : resolve(artifacts);
}

/**
 * Folder of a job. Scripts and mounts contain its path, so it must not contain their special characters.
 *
 * @throws UserError for a path that cannot be mounted
 */
export function jobFolder(artifacts: string, job: string): string {
  const folder = join(artifacts, job);
  if (isAbsolute(folder) && /^[A-Za-z0-9._/+@-]+$/.test(folder)) return folder;
  throw new UserError(
    `${folder} cannot be a job's folder.`,
    "Use an absolute path of letters, digits and . _ - + @ without spaces.",
  );
}

/** The user who owns a job's files and runs its gateway. */
export function owner(): FileOwner {
  const uid = process.getuid?.() ?? 0;
  return uid === 0 ? { uid: NOBODY, gid: NOBODY } : { uid, gid: process.getgid?.() ?? uid };
}

/** Creates the folder with its log's and its edge's, for the owner alone. Logs of earlier runs stay. */
export function makeFolder(folder: string, { uid, gid }: FileOwner): void {
  for (const path of [folder, join(folder, "log"), join(folder, EDGE_FOLDER)]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    // An existing folder may be open to others.
    chmodSync(path, 0o700);
    own(path, { uid, gid });
  }
}

/** Writes a file for the owner alone, mode 0600. */
export function writeOwnFile(path: string, text: string, to: FileOwner): void {
  writePrivateFile(path, text);
  own(path, to);
}

function own(path: string, { uid, gid }: FileOwner): void {
  if (process.getuid?.() === 0) chownSync(path, uid, gid);
}

export function writeRecord(record: JobRecord, to: FileOwner): void {
  writeOwnFile(join(record.folder, "job.json"), `${JSON.stringify(record, null, 2)}\n`, to);
}

/** Ends a job: records the end and removes its keys. */
export function endRecord(record: JobRecord): JobRecord {
  const stopped = { ...record, stoppedAt: new Date().toISOString() };
  for (const file of [ENV_FILE, join(EDGE_FOLDER, "keys.map")])
    rmSync(join(record.folder, file), { force: true });
  writeRecord(stopped, owner());
  return stopped;
}

/**
 * The record in a folder; undefined when there is none.
 *
 * @throws UserError when another program wrote it
 */
export function readJobRecord(folder: string): JobRecord | undefined {
  const path = join(folder, "job.json");
  if (!existsSync(path)) return undefined;
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new UserError(`${path} is not a record of a job.`, "Move it away and run the command again.");
  }
}

/** The key that a job's clients send, from a file that only its owner can read. */
export function readJobKey(folder: string): string {
  const text = readFileSync(join(folder, ENV_FILE), "utf8");
  const [, word] = /^LITELLM_MASTER_KEY='(.*)'$/m.exec(text) ?? [];
  if (word === undefined) throw new UserError(`${folder} contains no key.`, "Start the job again.");
  return word.replaceAll("'\\''", "'");
}

/** The records of all jobs below a folder, sorted by name. */
export function readRecords(artifacts: string): JobRecord[] {
  if (!existsSync(artifacts)) return [];
  return readdirSync(artifacts, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((name) => readJobRecord(join(artifacts, name)) ?? []);
}
