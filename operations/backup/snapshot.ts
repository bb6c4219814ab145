import { posix } from "node:path";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { FILES } from "./manifest";

const nodeSchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.int().min(0).optional(),
});

/**
 * Checks the list of `restic ls --json` before any of the snapshot reaches this disk: it must contain one folder with a
 * backup's files, and nothing else.
 *
 * @returns bytes of all files
 * @throws UserError that names the first foreign entry
 */
export function checkSnapshot(id: string, listing: string): number {
  const nodes = listing
    .split("\n")
    .filter(Boolean)
    .slice(1)
    .map((line) => nodeSchema.parse(JSON.parse(line)));
  const files = nodes.filter(({ type }) => type !== "dir");
  const folder = posix.dirname(files[0]?.path ?? "/");
  const stranger = nodes.find(({ type, path }) => {
    if (posix.normalize(path) !== path || !path.startsWith("/")) return true;
    if (type === "dir") return path !== folder && !folder.startsWith(`${path}/`);
    return type !== "file" || posix.dirname(path) !== folder || !FILES.includes(posix.basename(path));
  });
  if (stranger)
    throw new UserError(
      `The snapshot ${id} contains what no backup has: ${JSON.stringify(stranger.path)} (${JSON.stringify(stranger.type)}).`,
      "Name another one.",
    );
  return files.reduce((sum, { size = 0 }) => sum + size, 0);
}
