import { createHash } from "node:crypto";
import { closeSync, createReadStream, createWriteStream, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../../platform/process";
import { MANIFEST, type Manifest, readManifest } from "./manifest";
import { openPlainFile } from "./plainFile";
import { SIGNATURE } from "./signature";
import { requireSpace } from "./space";

/** A backup whose files match its manifest byte for byte. Only {@link withChecked} makes one. */
export interface CheckedBackup {
  /** A copy that only this user can change. */
  folder: string;
  manifest: Manifest;
  /** False when nobody vouches for the manifest. */
  signed: boolean;
}

/** How to check a backup. */
export interface Trust {
  signingKey: string;
  /** Accept a backup without a signature. A wrong signature is refused all the same. */
  unsigned?: boolean;
}

/**
 * Copies a backup to a private directory, checks signature, sizes and digests on the way, and lends the copy. Whoever
 * owns the original place could swap files between check and use.
 *
 * @param staging directory for the copy, which only this user can read
 * @throws UserError before any other program has read a byte of the backup
 */
export async function withChecked<T>(
  staging: string,
  from: string,
  trust: Trust,
  action: (checked: CheckedBackup) => Promise<T>,
): Promise<T> {
  const { parse, signature } = readManifest(from, trust.signingKey);
  if (signature === "wrong")
    throw new UserError(
      `The backup ${from} was changed, or was made with another salt key: its signature is wrong.`,
      "Take another backup, or restore it on a box with that salt key (docs/state.md).",
    );
  if (signature === "missing" && !trust.unsigned)
    throw new UserError(
      `The backup ${from} is not signed: it is older than signatures, or somebody removed its signature.`,
      "Take another backup. If you know that nobody touched it, add --unsigned (docs/backup.md).",
    );
  const manifest = parse();
  const files = Object.entries(manifest.files).flatMap(([name, facts]) =>
    facts ? [{ name, ...facts }] : [],
  );
  refuseOthers(from, manifest);
  for (const { name, bytes } of files) refuseOtherSize(join(from, name), bytes);
  requireSpace(
    staging,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const folder = mkdtempSync(join(staging, ".checked-"));
  try {
    for (const { name, bytes, sha256 } of files) {
      const found = await copy(join(from, name), join(folder, name), bytes);
      if (found !== sha256) throw damaged(join(from, name));
    }
    return await action({ folder, manifest, signed: signature === "right" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A manifest of the first format lists only the dump, so other files are ignored. */
function refuseOthers(from: string, { format, files }: Manifest): void {
  const known = [MANIFEST, SIGNATURE, ...Object.keys(files)];
  const others = readdirSync(from).filter((name) => !known.includes(name));
  if (format === 1 || others.length === 0) return;
  throw new UserError(
    `The backup ${from} contains a file that its manifest does not list: ${JSON.stringify(others.sort()[0])}.`,
    "Remove that file, or take another backup.",
  );
}

function refuseOtherSize(path: string, bytes: number): void {
  const opened = openPlainFile(path);
  closeSync(opened.file);
  if (opened.bytes !== bytes) throw damaged(path);
}

/** Copies an opened file, never more than the manifest's size, and returns its digest. */
async function copy(from: string, to: string, atMost: number): Promise<string> {
  const { file } = openPlainFile(from);
  const hash = createHash("sha256");
  let left = atMost;
  const watch = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      hash.update(chunk);
      done(left < 0 ? damaged(from) : null, chunk);
    },
  });
  await pipeline(
    createReadStream("", { fd: file }),
    watch,
    createWriteStream(to, { flags: "wx", mode: 0o600 }),
  );
  return hash.digest("hex");
}

function damaged(path: string): UserError {
  return new UserError(`${path} is damaged: its content changed.`, "Take another backup.");
}
