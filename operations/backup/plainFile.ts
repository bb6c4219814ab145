import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { basename, dirname } from "node:path";
import { UserError } from "../../platform/process";

/**
 * Opens a file of a backup to read it: a plain one that has no other name. A link may lead anywhere, a pipe never ends, and a
 * file with a second name can be changed from elsewhere.
 *
 * @throws UserError where it is anything else
 */
export function openPlainFile(path: string): { file: number; bytes: number } {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw notPlain(
      path,
      code === "ELOOP" ? "is a link" : code === "ENOENT" ? "is missing" : "cannot be read",
    );
  }
  const { nlink, size } = fstatSync(file);
  const flaw = !fstatSync(file).isFile()
    ? "is no plain file"
    : nlink === 1
      ? undefined
      : "has another name too";
  if (!flaw) return { file, bytes: size };
  closeSync(file);
  throw notPlain(path, flaw);
}

/** All of a small file. @throws UserError where it is no plain file, or a larger one */
export function readPlainFile(path: string, atMost: number): Buffer {
  const { file, bytes } = openPlainFile(path);
  try {
    if (bytes > atMost) throw notPlain(path, `is larger than ${atMost} bytes`);
    const buffer = Buffer.alloc(bytes);
    return buffer.subarray(0, readSync(file, buffer, 0, bytes, 0));
  } finally {
    closeSync(file);
  }
}

function notPlain(path: string, flaw: string): UserError {
  return new UserError(
    `${basename(path)} in the backup ${dirname(path)} ${flaw}.`,
    "A backup is plain files as they were written: take another one, or copy them anew with `cp -rL`.",
  );
}
