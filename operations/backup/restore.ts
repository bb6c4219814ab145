import { join } from "node:path";
import { adminSql, type DatabaseAt, insideDatabase } from "../../platform/box/database";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import type { CheckedBackup } from "./checked";
import { FOREIGN_OBJECTS, refuseForeign } from "./contents";
import { checkList } from "./dump";
import { DUMP } from "./manifest";
import { restoreDump } from "./restoreRole";
import { adoptNext, dropNext, makeNext, NEXT, swapIn } from "./swap";
import { differences } from "./tables";

/**
 * Checks, before anybody is asked, that this database's salt key can read the backup's secrets.
 *
 * @throws UserError when it cannot
 */
export async function checkSalt(at: DatabaseAt, { manifest }: CheckedBackup): Promise<void> {
  const salt = await dockerAt(at.docker).output(
    insideDatabase(at, "cat /var/lib/postgresql/data/gpubox-salt"),
  );
  if (salt !== manifest.saltFingerprint)
    throw new UserError(
      "The backup was made with another salt key, so its encrypted values could not be read.",
      "Restore it on a box with that salt key (docs/state.md), or take another backup.",
    );
}

/**
 * Restores a backup into a second database, compares each table, and only then swaps the databases.
 *
 * @throws UserError when anything differs; the serving database is then unchanged
 */
export async function restoreBackup(at: DatabaseAt, backup: CheckedBackup, log: Log): Promise<void> {
  try {
    await restoreNext(at, backup);
    await adoptNext(at);
    log(`  restored ${Object.keys(backup.manifest.tables).length} tables, each as it was`);
    await swapIn(at);
  } catch (error) {
    await dropNext(at);
    throw error;
  }
  log("  the gateway uses the restored database");
}

/**
 * Fills a new database from a backup, compares each table, and looks for foreign objects.
 *
 * @throws UserError that names the differences
 */
export async function restoreNext(at: DatabaseAt, { folder, manifest }: CheckedBackup): Promise<void> {
  const dump = join(folder, DUMP);
  await checkList(at, dump, "The backup");
  await makeNext(at);
  const restored = await restoreDump(at, NEXT, dump);
  const foreign = await adminSql(at, FOREIGN_OBJECTS, NEXT);
  refuseForeign(foreign.split("\n").filter(Boolean), "The backup");
  const differ = differences(manifest.tables, restored);
  if (differ.length === 0) return;
  const rest = differ.length > 5 ? ` and ${differ.length - 5} more` : "";
  throw new UserError(
    `The restored database differs from the backup: ${differ.slice(0, 5).join("; ")}${rest}.`,
    "Take another backup.",
  );
}
