import { statfsSync } from "node:fs";
import { UserError } from "../../platform/process";

/** @throws UserError when a directory's disk has too little room */
export function requireSpace(directory: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize >= bytes) return;
  throw new UserError(
    `The backup needs ${Math.ceil(bytes / 1e6)} MB in ${directory}, and its disk has ${Math.floor((bavail * bsize) / 1e6)} MB.`,
    "Free some space there.",
  );
}
