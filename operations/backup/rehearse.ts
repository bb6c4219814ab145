import { randomBytes } from "node:crypto";
import { processesOf } from "../../configs/kit/processes";
import { adminSql, type DatabaseAt, POSTGRES_PATH } from "../../platform/box/database";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import type { CheckedBackup } from "./checked";
import { restoreNext } from "./restore";

/**
 * A server for one rehearsal: no network but its own loopback, no named volume, and no protection against power cuts.
 */
const SCRATCH = `${POSTGRES_PATH} set -e
cd /var/lib/postgresql/data
initdb -D scratch -U postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 >/dev/null
exec postgres -D scratch -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off -c full_page_writes=off`;

/** Seconds until the scratch server answers. */
const START_SECONDS = 60;

/**
 * Restores a backup into a scratch container and compares every table with the backup. Touches nothing that serves.
 *
 * @param image the database's image
 * @throws UserError when the restored database differs from the backup
 */
export async function rehearse(
  docker: string,
  image: string,
  backup: CheckedBackup,
  log: Log,
): Promise<void> {
  const { manifest } = backup;
  const container = `gpubox-${manifest.stack}-rehearsal-${randomBytes(3).toString("hex")}`;
  const at: DatabaseAt = { docker, container };
  const engine = dockerAt(docker);
  await engine.output([
    ...["run", "-d", "--name", container, "--network", "none", "--user", "999:999"],
    ...[
      "--cap-drop",
      "ALL",
      "--security-opt",
      "no-new-privileges:true",
      "--memory",
      "1024m",
      "--pids-limit",
      String(processesOf("database")),
      "--shm-size",
      "256m",
    ],
    ...["--label", `gpubox.stack=${manifest.stack}`, "--label", "gpubox.keep=rehearsal"],
    ...["--volume", "/var/lib/postgresql/data", "--entrypoint", "sh", image, "-c", SCRATCH],
  ]);
  try {
    await started(at);
    await restoreNext(at, backup);
  } finally {
    await engine.run(["rm", "-f", "-v", container]);
  }
  const rows = Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0);
  log(`  rehearsed: ${Object.keys(manifest.tables).length} tables with ${rows} rows, each as it was`);
}

async function started(at: DatabaseAt): Promise<void> {
  const end = Date.now() + START_SECONDS * 1000;
  for (;;) {
    try {
      await adminSql(at, "SELECT 1");
      return;
    } catch (error) {
      if (!(error instanceof UserError) || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
