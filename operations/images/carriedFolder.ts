import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { architectures } from "../../configs/schema/host";
import type { InspectedImage } from "../../platform/docker/inspect";
import { UserError } from "../../platform/process";

/** The file that says what a folder of carried images holds, and the one that holds them. */
export const MANIFEST = "images.json";
export const ARCHIVE = "images.tar";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const carriedImage = z.strictObject({
  /** The name that the image has on every engine that it is loaded into. */
  reference: z.string().regex(/^[\w][\w./:@-]*$/),
  roles: z.array(z.string()),
  /** The locked digest; absent for recipes and for tags without one. */
  digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
  /** Hashes of the unpacked layers. */
  layers: z.array(z.string()),
  /** Bytes, unpacked. */
  bytes: z.int().nonnegative(),
});

const manifest = z.strictObject({
  version: z.literal(1),
  arch: z.enum(architectures),
  archive: z.strictObject({ bytes: z.int().nonnegative(), sha256: hash }),
  images: z.array(carriedImage).min(1),
});

/** A folder with images that are carried to an engine without a registry. */
export type CarriedFolder = z.infer<typeof manifest>;

export type CarriedImage = z.infer<typeof carriedImage>;

/**
 * Reads what a folder holds.
 *
 * @throws UserError when it is none that `gpubox images save` has finished
 */
export function readFolder(folder: string): CarriedFolder {
  const path = join(folder, MANIFEST);
  const fix = "Name a folder that `gpubox images save` wrote to its end.";
  if (!existsSync(path)) throw new UserError(`${path} does not exist.`, fix);
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new UserError(`${path} is not JSON.`, fix);
  }
  const parsed = manifest.safeParse(found);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw new UserError(`${path} is not valid: ${first?.path.join(".")}: ${first?.message}.`, fix);
}

/** True where an engine's image is the carried one. Ids differ between engines; layers do not. */
export function isCarried({ layers }: CarriedImage, found: InspectedImage | undefined): boolean {
  return found !== undefined && JSON.stringify(found.RootFS?.Layers ?? []) === JSON.stringify(layers);
}
