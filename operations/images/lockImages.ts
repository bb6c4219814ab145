import { type ImageName, imageRoles, isOwnImage, type OwnImage } from "../../configs/kit/imageRoles";
import {
  type ImageLock,
  type LockEntry,
  lockEntry,
  type Official,
  readLock,
  unresolved,
  writeLock,
} from "../../platform/stack/imageLock";
import { verifySignature } from "./cosign";
import { fetchDigest, fetchSizes, UnresolvedImage } from "./registry";

/** What happened to one role when the lock was written. */
export interface LockChange {
  role: ImageName;
  /** Previous digest; `null` when there was none. */
  old: string | null;
  entry: LockEntry;
  /** Why the digest was not resolved now. */
  failure?: string;
}

/**
 * Resolves one image: the digest that the registry now has for its tag, and its signature. Never rejects because of a
 * registry or a signature: the entry then has the reason instead of a digest.
 */
export async function resolveEntry({ image, tag }: Official): Promise<LockEntry> {
  try {
    const digest = await fetchDigest(image, tag);
    const verified = await verifySignature(image, digest);
    return {
      image,
      tag,
      digest,
      resolvedAt: new Date().toISOString(),
      verified,
      ...(await sizesOf(image, digest)),
    };
  } catch (error) {
    if (error instanceof UnresolvedImage) return unresolved({ image, tag }, error.message);
    throw error;
  }
}

/**
 * Resolves digests and writes them to the lock. An entry that cannot be resolved keeps its digest.
 *
 * @param own images that models name themselves; those that are locked already stay
 * @param which `missing`: only entries without a digest. `all`: what every tag points to now.
 * @throws UserError when `images/official.json` or the lock is not valid.
 */
export async function updateLock(
  projectDir: string,
  which: "missing" | "all",
  own: OwnImage[] = [],
): Promise<LockChange[]> {
  const lock = readLock(projectDir);
  const locked = (Object.keys(lock) as ImageName[]).filter(isOwnImage);
  const changes = await Promise.all(
    [...imageRoles, ...new Set([...locked, ...own])].map(async (role): Promise<LockChange> => {
      const before = lockEntry(lock, role);
      if (which === "missing" && before.digest) return { role, old: before.digest, entry: before };
      const entry = await resolveEntry(before);
      // The same image keeps its date, so that a reviewer sees only real changes, and a machine without cosign does not
      // revoke what another machine verified.
      const learned =
        (entry.verified === "verified" && before.verified !== "verified") || (entry.bytes && !before.bytes);
      if (entry.digest && entry.digest === before.digest && !learned)
        return { role, old: before.digest, entry: before };
      return entry.digest
        ? { role, old: before.digest, entry }
        : { role, old: before.digest, entry: before.digest ? before : entry, failure: entry.reason };
    }),
  );
  writeLock(projectDir, Object.fromEntries(changes.map(({ role, entry }) => [role, entry])) as ImageLock);
  return changes;
}

/** A preview can do without sizes, so a registry that hides its manifests does not prevent locking. */
async function sizesOf(image: string, digest: string): Promise<Pick<LockEntry, "bytes">> {
  try {
    return { bytes: await fetchSizes(image, digest) };
  } catch (error) {
    if (error instanceof UnresolvedImage) return {};
    throw error;
  }
}
