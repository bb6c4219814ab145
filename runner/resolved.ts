import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ImageRole, Resolved, ResolvedImage } from "../configs/plan/types";
import { imageRoles, readLock } from "./imageLock";
import { recipeReference } from "./recipes";

const image = z.object({ reference: z.string(), source: z.enum(["digest", "recipe"]) });

export const resolvedSchema = z.object({
  images: z.object({ gateway: image, edge: image, cache: image, database: image, llamacpp: image }),
  offlineModels: z.array(z.string()),
  knownModels: z.array(z.string()),
});

/** Where `npm run up` records what this machine could get, so that a preview needs no network. */
export function resolvedPath(projectDir: string, stack: string): string {
  return join(projectDir, ".gpubox", `resolved.${stack}.json`);
}

/**
 * Reads that record. Where there is none, as in a fresh checkout, it is what the repository alone says: the locked digest
 * of each image, or the recipe where the lock has none.
 */
export function readResolved(projectDir: string, stack: string): Resolved {
  const path = resolvedPath(projectDir, stack);
  if (existsSync(path)) return resolvedSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const lock = readLock(projectDir);
  const images = imageRoles.map((role): [ImageRole, ResolvedImage] => {
    const { image, digest } = lock[role];
    return digest
      ? [role, { reference: `${image}@${digest}`, source: "digest" }]
      : [role, { reference: recipeReference(projectDir, role), source: "recipe" }];
  });
  return {
    images: Object.fromEntries(images) as Resolved["images"],
    offlineModels: [],
    knownModels: [],
  };
}
