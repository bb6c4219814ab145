import { createHash } from "node:crypto";
import { createReadStream, existsSync, lstatSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { readPlainFile } from "./plainFile";
import { isSignedBy, SIGNATURE, signatureOf } from "./signature";
import { tableSchema } from "./tables";

/** File names of a backup. */
export const DUMP = "database.dump";
export const MANIFEST = "manifest.json";
const BESIDE = ["stack.yaml", "gateway-config.yaml"] as const;

/** Every file name that a backup may contain. */
export const FILES: readonly string[] = [MANIFEST, SIGNATURE, DUMP, ...BESIDE];

/** Largest manifest, in bytes: each table is one line of it. */
const MANIFEST_BYTES = 4 << 20;
const SIGNATURE_BYTES = 1024;

const fileSchema = z.strictObject({
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const filesSchema = z.strictObject({
  [DUMP]: fileSchema,
  [BESIDE[0]]: fileSchema.optional(),
  [BESIDE[1]]: fileSchema.optional(),
});

/** Restricted, because some values reach a terminal or name a container. */
const line = z
  .string()
  .max(400)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u);

const known = {
  stack: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
  madeAt: z.iso.datetime(),
  reason: line,
  saltFingerprint: z.string().regex(/^[0-9a-f]{16}$/),
  /** Version of the server, `17.5`. */
  postgres: line,
  /** Image of the gateway that served then; absent when none did. */
  gatewayImage: line.optional(),
  tables: z.record(line, tableSchema),
};

const signedSchema = z.strictObject({ format: z.literal(2), ...known, files: filesSchema });

/** The format before signatures, which lists only the dump. */
const unsignedSchema = z
  .object({ ...known, sha256: fileSchema.shape.sha256, bytes: fileSchema.shape.bytes })
  .transform(({ sha256, bytes, ...rest }) => ({
    format: 1 as const,
    ...rest,
    files: filesSchema.parse({ [DUMP]: { bytes, sha256 } }),
  }));

const manifestSchema = z.union([signedSchema, unsignedSchema]);

export type Manifest = z.infer<typeof manifestSchema>;

/** A manifest as it was found. Whether it is true is another question. */
export interface ReadManifest {
  /** Parses it. @throws UserError when this program did not write it */
  parse: () => Manifest;
  /** `missing`: no signature. `wrong`: a signature that this salt key did not make for this manifest. */
  signature: "right" | "missing" | "wrong";
}

/** Adds size and digest of every file in the folder, signs the manifest, and writes it. */
export async function writeManifest(
  folder: string,
  about: Omit<Extract<Manifest, { format: 2 }>, "files" | "format">,
  signingKey: string,
): Promise<Manifest> {
  const present = [DUMP, ...BESIDE].filter((name) => existsSync(join(folder, name)));
  const files = await Promise.all(present.map(async (name) => [name, await factsOf(join(folder, name))]));
  const manifest = signedSchema.parse({ format: 2, ...about, files: Object.fromEntries(files) });
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  writeFileSync(join(folder, MANIFEST), bytes, { mode: 0o600 });
  writeFileSync(join(folder, SIGNATURE), signatureOf(bytes, signingKey), { mode: 0o600 });
  return manifest;
}

/** True for a folder with a complete backup. */
export function isBackup(folder: string): boolean {
  return lstatSync(join(folder, MANIFEST), { throwIfNoEntry: false }) !== undefined;
}

/**
 * Reads a manifest and checks its signature.
 *
 * @throws UserError when there is none
 */
export function readManifest(folder: string, signingKey: string): ReadManifest {
  if (!isBackup(folder))
    throw new UserError(
      `${folder} contains no backup.`,
      "Name the folder of a backup: `gpubox backup --list` shows them.",
    );
  const bytes = readPlainFile(join(folder, MANIFEST), MANIFEST_BYTES);
  const path = join(folder, SIGNATURE);
  const there = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  const right = there && isSignedBy(bytes, readPlainFile(path, SIGNATURE_BYTES), signingKey);
  return { signature: right ? "right" : there ? "wrong" : "missing", parse: () => parse(folder, bytes) };
}

function parse(folder: string, bytes: Buffer): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch {
    throw new UserError(`${join(folder, MANIFEST)} cannot be read.`, "Take another backup.");
  }
}

/** Size and digest of a file for a manifest. */
export async function factsOf(path: string): Promise<z.infer<typeof fileSchema>> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { bytes: statSync(path).size, sha256: hash.digest("hex") };
}
