import { copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adminSql, hasNoTables } from "../../platform/box/database";
import { dockerAt, labelFilters } from "../../platform/docker/client";
import { type Log, projectPaths } from "../../platform/project";
import { dump } from "./dump";
import { DUMP, writeManifest } from "./manifest";
import { putIntoRestic } from "./restic";
import { directoryOf, newFolder, prune, type Store, settle } from "./store";

/**
 * Backs up a stack: its database, the salt key's fingerprint, its config with encrypted secrets, and the serving
 * gateway's config. Then removes backups beyond the number to keep.
 *
 * @param reason shown to people who choose a backup later
 * @returns its folder; undefined when the database is empty, and for a backup in a repository
 * @throws UserError when any part cannot be written; the unfinished backup is removed
 */
export async function backUp(store: Store, reason: string, log: Log): Promise<string | undefined> {
  const { job, projectDir } = store;
  if (await hasNoTables(job)) {
    log("  the database is empty: no backup is needed");
    return undefined;
  }
  const folder = newFolder(store);
  try {
    // Before the dump, so that the backup contains nothing newer than its name says.
    const madeAt = new Date().toISOString();
    const tables = await dump(job, join(folder, DUMP));
    const config = projectPaths(projectDir).stackConfig(job.stack);
    if (existsSync(config)) copyFileSync(config, join(folder, "stack.yaml"));
    const gateway = await servingGateway(store);
    if (gateway) writeFileSync(join(folder, "gateway-config.yaml"), gateway.config, { mode: 0o600 });
    const manifest = await writeManifest(
      folder,
      {
        stack: job.stack,
        madeAt,
        reason,
        saltFingerprint: job.saltFingerprint,
        postgres: await adminSql(job, "SHOW server_version"),
        gatewayImage: gateway?.image,
        tables,
      },
      job.signingKey,
    );
    const size = `${Object.keys(tables).length} tables, ${(manifest.files[DUMP].bytes / 1e6).toFixed(1)} MB`;
    if (directoryOf(store)) {
      const path = settle(folder, manifest);
      log(`  backed up to ${path} (${size})`);
      await tellMonitors(store, log);
      for (const old of prune(store)) log(`  removed the old backup ${old}`);
      return path;
    }
    const path = settle(folder, manifest);
    try {
      await putIntoRestic(job.restic!, { folder: path, stack: job.stack, keep: job.keep });
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
    log(`  backed up into ${job.restic!.repository} (${size})`);
    await tellMonitors(store, log);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A failure here does not fail the backup. */
async function tellMonitors({ job }: Store, log: Log): Promise<void> {
  if (!job.tell) return;
  const { code, stderr } = await dockerAt(job.docker).script(job.tell);
  if (code !== 0) log(`  the monitors could not record it: ${stderr.trim()}`);
}

/** Image and rendered config of a running gateway; undefined when none runs. */
async function servingGateway({ job }: Store): Promise<{ image: string; config: string } | undefined> {
  const docker = dockerAt(job.docker);
  const filters = labelFilters([`gpubox.stack=${job.stack}`, "gpubox.role=gateway"]);
  const list = await docker.run(["ps", ...filters, "--format", "{{.ID}} {{.Image}}"]);
  const [id, image] = list.stdout.split("\n")[0]?.split(" ") ?? [];
  if (!id || !image) return undefined;
  const { code, stdout } = await docker.exec(id, ["cat", "/etc/gpubox/config.yaml"]);
  return code === 0 ? { image, config: stdout } : undefined;
}
