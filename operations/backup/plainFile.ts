import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { basename, dirname } from "node:path";
import { UserError } from "../../platform/process";

/**
 * Opens a backup's file for reading. It must be a plain file without a second name: a link may lead anywhere, a pipe
 * never ends, and a second name lets somebody change the file from another directory.
 *
 * @throws UserError for anything else
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
    ? "is not a plain file"
    : nlink === 1
      ? undefined
      : "has another name too";
  if (!flaw) return { file, bytes: size };
  closeSync(file);
  throw notPlain(path, flaw);
}

/** Reads a whole small file. @throws UserError for a file that is not plain, or too large */
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
    "A backup consists of unchanged plain files: take another one, or copy it again with `cp -rL`.",
  );
}
