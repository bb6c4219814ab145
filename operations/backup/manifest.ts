import { createHash } from "node:crypto";
import { createReadStream, existsSync, lstatSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { readPlainFile } from "./plainFile";
import { isSignedBy, SIGNATURE, signatureOf } from "./signature";
import { tableSchema } from "./tables";

/** Names of a backup's files. */
export const DUMP = "database.dump";
export const MANIFEST = "manifest.json";
const BESIDE = ["stack.yaml", "gateway-config.yaml"] as const;

/** Every name that a file of a backup can have. */
export const FILES: readonly string[] = [MANIFEST, SIGNATURE, DUMP, ...BESIDE];

/** The most that a manifest may have: a table is a line of it. */
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

/** Restricted, because some of it reaches a terminal or names a container. */
const line = z
  .string()
  .max(400)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u);

const known = {
  stack: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/),
  madeAt: z.iso.datetime(),
  reason: line,
  saltFingerprint: z.string().regex(/^[0-9a-f]{16}$/),
  /** Of the server, `17.5`. */
  postgres: line,
  /** Image of the gateway that served then; absent where none did. */
  gatewayImage: line.optional(),
  tables: z.record(line, tableSchema),
};

const signedSchema = z.strictObject({ format: z.literal(2), ...known, files: filesSchema });

/** The format from before backups were signed, which has only the dump. */
const unsignedSchema = z
  .object({ ...known, sha256: fileSchema.shape.sha256, bytes: fileSchema.shape.bytes })
  .transform(({ sha256, bytes, ...rest }) => ({
    format: 1 as const,
    ...rest,
    files: filesSchema.parse({ [DUMP]: { bytes, sha256 } }),
  }));

const manifestSchema = z.union([signedSchema, unsignedSchema]);

/** A backup's manifest. */
export type Manifest = z.infer<typeof manifestSchema>;

/** A manifest as it lies there; whether what it says is so is another question. */
export interface ReadManifest {
  /** What it says. @throws UserError where it is none of this program */
  parse: () => Manifest;
  /** `missing`: it has no signature. `wrong`: it has one that this salt key did not make for it. */
  signature: "right" | "missing" | "wrong";
}

/** Adds size and digest of every file that lies in the folder, signs it all, and writes it. */
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
 * A manifest and who vouches for it.
 *
 * @throws UserError where there is none
 */
export function readManifest(folder: string, signingKey: string): ReadManifest {
  if (!isBackup(folder))
    throw new UserError(
      `${folder} holds no backup.`,
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

/** Size and digest of a file, as a manifest has them. */
export async function factsOf(path: string): Promise<z.infer<typeof fileSchema>> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return { bytes: statSync(path).size, sha256: hash.digest("hex") };
}
