import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  type ImageName,
  type ImageRole,
  imageRoles,
  isOwnImage,
  type OwnImage,
  ownImageParts,
} from "../../configs/kit/imageRoles";
import { lacksBuild } from "../../configs/kit/resolved";
import { type Architecture, architectures } from "../../configs/schema/host";
import { UserError } from "../process";
import { imagesDir } from "../project";

/** What is known about the signature of a locked image. */
export const verificationSchema = z.enum([
  "verified",
  "not checked: cosign is not installed",
  "not checked: the publisher announces no signature",
  "not checked: not resolved",
]);

export type Verification = z.infer<typeof verificationSchema>;

const officialSchema = z.record(
  z.enum(imageRoles),
  z.strictObject({ image: z.string().min(1), tag: z.string().min(1) }),
);

const entrySchema = z
  .strictObject({
    image: z.string().min(1),
    tag: z.string().min(1),
    digest: z
      .string()
      .regex(/^sha256:[0-9a-f]{64}$/, "is not a digest (sha256: and 64 hex digits)")
      .nullable(),
    /** When the digest was resolved, ISO 8601. */
    resolvedAt: z.iso.datetime().nullable(),
    verified: verificationSchema,
    /** Download size in bytes, by architecture. */
    bytes: z.partialRecord(z.enum(architectures), z.int().nonnegative()).optional(),
    /** Why there is no digest. */
    reason: z.string().min(1).optional(),
  })
  .refine(({ digest, reason }) => (digest === null) === (reason !== undefined), {
    error: "an entry has either a digest or the reason why there is none",
  });

const lockSchema = z.record(
  z.union([z.enum(imageRoles), z.templateLiteral([z.string(), ":", z.string()])]),
  entrySchema,
);

/** The image and tag that a person chose for each role, in `images/official.json`. */
export type Official = z.infer<typeof officialSchema>[ImageRole];
export type LockEntry = z.infer<typeof entrySchema>;
/** By role, and by `repository:tag` for images that models name themselves. */
export type ImageLock = Record<ImageRole, LockEntry> & { [Own in OwnImage]: LockEntry };

/** The lock of a project: a checkout has it next to its recipes, every other project in its root. */
function lockPath(projectDir: string): string {
  const images = imagesDir(projectDir);
  return images === join(projectDir, "images")
    ? join(images, "lock.json")
    : join(projectDir, "images.lock.json");
}

/**
 * Reads `images/lock.json`. A missing file, and an entry for another image or tag than in `images/official.json`, count
 * as not resolved. Images that models name themselves are there once they are locked.
 *
 * @throws UserError that names every mistake in either file with its path
 */
export function readLock(projectDir: string): ImageLock {
  const officials = readOfficials(projectDir);
  const own = lockPath(projectDir);
  const lock = readJson(
    existsSync(own) ? own : join(imagesDir(projectDir), "lock.json"),
    lockSchema,
    "Restore it from version control, or delete it and run `gpubox images lock`.",
  );
  const roles = forEachRole((role) => {
    const wanted = officials[role];
    const entry = lock?.[role];
    return entry?.image === wanted.image && entry.tag === wanted.tag
      ? entry
      : unresolved(wanted, "`gpubox images lock` has not resolved this tag yet");
  });
  return { ...roles, ...ownEntries(lock ?? {}) };
}

/** The entry of an image, for one that a model names itself as well. */
export function lockEntry(lock: ImageLock, name: ImageName): LockEntry {
  if (!isOwnImage(name)) return lock[name];
  return lock[name] ?? unresolved(ownImageParts(name), "`gpubox images lock` has not resolved this tag yet");
}

/**
 * Name of a locked image on an engine that never asked a registry for it. `docker load` brings no digest along, so the
 * name says it.
 */
export function carriedReference(digest: string): string {
  return `gpubox/locked:${digest.replace("sha256:", "")}`;
}

/** True where a locked image is known to have no build for a processor. */
export function lacksArchitecture({ digest, bytes }: LockEntry, arch: Architecture | undefined): boolean {
  return lacksBuild(digest ? bytes : undefined, arch);
}

function ownEntries(lock: Partial<Record<ImageName, LockEntry>>): Record<OwnImage, LockEntry> {
  return Object.fromEntries(
    Object.entries(lock).filter(([name, entry]) => entry && name === `${entry.image}:${entry.tag}`),
  ) as Record<OwnImage, LockEntry>;
}

/** Writes `images/lock.json` for a person to review and commit. */
export function writeLock(projectDir: string, lock: ImageLock): void {
  const path = lockPath(projectDir);
  writeFileSync(`${path}.new`, `${JSON.stringify(lock, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

function readOfficials(projectDir: string): Record<ImageRole, Official> {
  const path = join(imagesDir(projectDir), "official.json");
  const fix = "Give every role an image and a tag.";
  const officials = readJson(path, officialSchema, fix);
  if (!officials) throw new UserError("images/official.json does not exist.", fix);
  return officials;
}

/** The entry of a tag without a digest. */
export function unresolved({ image, tag }: Official, reason: string): LockEntry {
  return { image, tag, digest: null, resolvedAt: null, verified: "not checked: not resolved", reason };
}

/** One value for every role. */
export function forEachRole<Value>(value: (role: ImageRole) => Value): Record<ImageRole, Value> {
  return Object.fromEntries(imageRoles.map((role) => [role, value(role)])) as Record<ImageRole, Value>;
}

function readJson<Value>(path: string, schema: z.ZodType<Value>, fix: string): Value | undefined {
  const name = path.split("/").slice(-2).join("/");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`${name} is not JSON: ${error instanceof Error ? error.message : error}.`, fix);
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "file"}: ${issue.message}`);
  throw new UserError(`${name} is not valid: ${problems.join("; ")}.`, fix);
}
