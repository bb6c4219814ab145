import { statfsSync } from "node:fs";
import { UserError } from "../../platform/process";

/** @throws UserError where a directory's disk has not that much room */
export function requireSpace(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= bytes) return;
  throw new UserError(
    `The backup needs ${Math.ceil(bytes / 1e6)} MB in ${directory}, and its disk has ${Math.floor((bavail * bsize) / 1e6)} MB.`,
    "Make room there.",
  );
}
