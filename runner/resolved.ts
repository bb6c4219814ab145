import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type ImageRole, imageRoles } from "../configs/plan/imageRoles";
import type { Resolved, ResolvedImage } from "../configs/plan/types";
import { type ImageLock, readLock } from "./imageLock";
import { hasRecipe, recipeReference } from "./recipes";

const image = z.object({ reference: z.string(), source: z.enum(["digest", "recipe", "unresolved"]) });

export const resolvedSchema = z.object({
  images: z.partialRecord(z.enum(imageRoles), image),
  offlineModels: z.array(z.string()),
  knownModels: z.array(z.string()),
});

/** Where `npm run up` records what this machine could get, so that a preview needs no network. */
export function resolvedPath(projectDir: string, stack: string): string {
  return join(projectDir, ".gpubox", `resolved.${stack}.json`);
}

/**
 * Reads that record. A role that it lacks, because nothing was brought up here yet or a model of that engine is new, is what
 * the repository alone says: the locked digest, else the recipe, else the tag.
 */
export function readResolved(projectDir: string, stack: string): Resolved {
  const path = resolvedPath(projectDir, stack);
  const record = existsSync(path)
    ? resolvedSchema.parse(JSON.parse(readFileSync(path, "utf8")))
    : { images: {}, offlineModels: [], knownModels: [] };
  const known: Resolved["images"] = record.images;
  const lock = readLock(projectDir);
  const images = imageRoles.map((role) => [role, known[role] ?? fromRepository(projectDir, lock, role)]);
  return { ...record, images: Object.fromEntries(images) as Resolved["images"] };
}

function fromRepository(projectDir: string, lock: ImageLock, role: ImageRole): ResolvedImage {
  const { image, tag, digest } = lock[role];
  if (digest) return { reference: `${image}@${digest}`, source: "digest" };
  return hasRecipe(projectDir, role)
    ? { reference: recipeReference(projectDir, role), source: "recipe" }
    : { reference: `${image}:${tag}`, source: "unresolved" };
}
