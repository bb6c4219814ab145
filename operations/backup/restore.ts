import { join } from "node:path";
import { type DatabaseAt, insideDatabase } from "../../platform/box/database";
import { output, UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { restoreDump } from "./dump";
import { checkDump, DUMP, type Manifest, readManifest } from "./manifest";
import { dropNext, makeNext, NEXT, swapIn } from "./swap";
import { differences, type Tables, tablesOf } from "./tables";

/**
 * What has to be so before anybody is asked: the dump is whole, and its secrets can be read with the salt key that this
 * database has.
 *
 * @throws UserError where it is not so
 */
export async function checkBackup(at: DatabaseAt, folder: string): Promise<Manifest> {
  const manifest = readManifest(folder);
  await checkDump(folder, manifest);
  const salt = await output("docker", insideDatabase(at, "cat /var/lib/postgresql/data/gpubox-salt"));
  if (salt !== manifest.saltFingerprint)
    throw new UserError(
      "The backup was made with another salt key, so what is encrypted in it could not be read.",
      "Restore it on a box with that salt key (docs/state.md), or take another backup.",
    );
  return manifest;
}

/**
 * Restores a checked backup beside the database that serves, compares each table, and only then puts it in its place.
 *
 * @throws UserError where anything differs; the database that serves is as it was then
 */
export async function restoreBackup(
  at: DatabaseAt,
  folder: string,
  manifest: Manifest,
  log: Log,
): Promise<void> {
  await makeNext(at);
  try {
    await restoreAndCompare(at, NEXT, folder, manifest.tables);
    log(`  restored ${Object.keys(manifest.tables).length} tables, each as it was`);
    await swapIn(at);
  } catch (error) {
    await dropNext(at);
    throw error;
  }
  log("  the gateway uses the restored database");
}

/** @throws UserError that names the tables which are not as they were */
export async function restoreAndCompare(
  at: DatabaseAt,
  database: string,
  folder: string,
  tables: Tables,
): Promise<void> {
  await restoreDump(at, database, join(folder, DUMP));
  const differ = differences(tables, await tablesOf(at, database));
  if (differ.length === 0) return;
  const rest = differ.length > 5 ? ` and ${differ.length - 5} more` : "";
  throw new UserError(
    `What was restored is not what was backed up: ${differ.slice(0, 5).join("; ")}${rest}.`,
    "Take another backup.",
  );
}
