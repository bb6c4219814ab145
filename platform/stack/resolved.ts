import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type ImageName, imageRoles, isOwnImage } from "../../configs/kit/imageRoles";
import type { Resolved, ResolvedImage } from "../../configs/kit/resolved";
import { readJsonFile as readRecordFile } from "../userFiles";
import { carriedReference, type ImageLock, lockEntry, readLock } from "./imageLock";
import { hasRecipe, recipeReference } from "./recipes";

const image = z.object({
  reference: z.string(),
  source: z.enum(["digest", "carried", "recipe", "loaded", "unresolved"]),
});

export const resolvedSchema = z.object({
  images: z.partialRecord(
    z.union([z.enum(imageRoles), z.templateLiteral([z.string(), ":", z.string()])]),
    image,
  ),
  offlineModels: z.array(z.string()),
  knownModels: z.array(z.string()),
  host: z.object({ cores: z.int().positive(), memoryMiB: z.int().positive() }).optional(),
});

/** Where `gpubox up` records what this machine resolved, so that a preview needs no network. */
export function resolvedPath(projectDir: string, stack: string): string {
  return join(projectDir, ".gpubox", `resolved.${stack}.json`);
}

type Recorded = z.infer<typeof resolvedSchema>;

const NOTHING: Recorded = { images: {}, offlineModels: [], knownModels: [] };

/**
 * Reads that record. For a missing role (nothing was brought up here yet, or the engine is new) the repository decides:
 * the locked digest, or the recipe, or the tag.
 */
export function readResolved(projectDir: string, stack: string): Resolved {
  return recordedResolved(projectDir, resolvedPath(projectDir, stack));
}

/** What the repository alone says, independent of this machine. */
export function repositoryResolved(projectDir: string): Resolved {
  return completed(projectDir, NOTHING, (recorded) => recorded);
}

/**
 * What the next `up` would resolve to, without contacting anybody: a role stays pulled, carried or built as recorded, with the
 * present lock and recipes.
 */
export function expectedResolved(projectDir: string, stack: string): Resolved {
  const record = readRecord(resolvedPath(projectDir, stack));
  const lock = readLock(projectDir);
  return completed(projectDir, record, (recorded, role, now) => {
    if (recorded.source === now.source) return now;
    const { digest } = lockEntry(lock, role);
    if (recorded.source === "carried" && digest)
      return { reference: carriedReference(digest), source: "carried" };
    if (recorded.source === "recipe" && hasRecipe(projectDir, role))
      return { reference: recipeReference(projectDir, role), source: "recipe" };
    return recorded;
  });
}

/**
 * What the last `up` resolved, as recorded with a generation.
 *
 * @param path of the record; when it is missing, the repository alone counts
 */
export function recordedResolved(projectDir: string, path: string): Resolved {
  return completed(projectDir, readRecord(path), (recorded) => recorded);
}

function readRecord(path: string): Recorded {
  return existsSync(path) ? readRecordFile(path, resolvedSchema) : NOTHING;
}

/** The record with every role. `choose` decides when both it and the repository know one. */
function completed(
  projectDir: string,
  record: Recorded,
  choose: (recorded: ResolvedImage, role: ImageName, now: ResolvedImage) => ResolvedImage,
): Resolved {
  const lock = readLock(projectDir);
  const own = [...Object.keys(lock), ...Object.keys(record.images)] as ImageName[];
  const images = [...imageRoles, ...new Set(own.filter(isOwnImage))].map((role) => {
    const now = fromRepository(projectDir, lock, role);
    const recorded = record.images[role];
    return [role, recorded ? choose(recorded, role, now) : now] as const;
  });
  return { ...record, images: Object.fromEntries(images) as Resolved["images"] };
}

function fromRepository(projectDir: string, lock: ImageLock, role: ImageName): ResolvedImage {
  const { image, tag, digest, bytes } = lockEntry(lock, role);
  if (digest) return { reference: `${image}@${digest}`, source: "digest", ...(bytes && { bytes }) };
  return hasRecipe(projectDir, role)
    ? { reference: recipeReference(projectDir, role), source: "recipe" }
    : { reference: `${image}:${tag}`, source: "unresolved" };
}
