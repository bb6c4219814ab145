import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { UserError } from "../../platform/process";
import { tableSchema } from "./tables";

/** Names of a backup's files. */
export const DUMP = "database.dump";
const MANIFEST = "manifest.json";

const manifestSchema = z.object({
  stack: z.string(),
  madeAt: z.string(),
  reason: z.string(),
  saltFingerprint: z.string(),
  /** Of the server, `17.5`. */
  postgres: z.string(),
  /** Image of the gateway that served then; absent where none did. */
  gatewayImage: z.string().optional(),
  sha256: z.string(),
  bytes: z.number(),
  tables: z.record(z.string(), tableSchema),
});

/** What is known of a backup. */
export type Manifest = z.infer<typeof manifestSchema>;

/** Adds size and digest of the dump that lies in the folder, and writes it all. */
export async function writeManifest(
  folder: string,
  known: Omit<Manifest, "sha256" | "bytes">,
): Promise<Manifest> {
  const dump = join(folder, DUMP);
  const manifest = { ...known, bytes: statSync(dump).size, sha256: await digest(dump) };
  writeFileSync(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
  return manifest;
}

/** True for a folder that a whole backup lies in. */
export function isBackup(folder: string): boolean {
  return existsSync(join(folder, MANIFEST));
}

/** @throws UserError where there is none, or one of another program */
export function readManifest(folder: string): Manifest {
  const path = join(folder, MANIFEST);
  const fix = "Name the folder of a backup: `npm run backup -- --list` shows them.";
  if (!existsSync(path)) throw new UserError(`${folder} holds no backup.`, fix);
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new UserError(`${path} cannot be read.`, "Take another backup.");
  }
}

/** @throws UserError when the dump is not byte for byte what was written */
export async function checkDump(folder: string, { sha256 }: Manifest): Promise<void> {
  const dump = join(folder, DUMP);
  if (!existsSync(dump) || (await digest(dump)) !== sha256)
    throw new UserError(
      `The dump in ${folder} is damaged: it is not what was written.`,
      "Take another backup.",
    );
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
