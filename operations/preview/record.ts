import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MODEL_LOCK_FILE } from "../../configs/models/lock";
import { type DeployedBox, deployedBox } from "../../configs/plan/changeNotices";
import { UserError } from "../../platform/process";
import { stackFilesIn } from "../../platform/stack/boxFiles";
import { readDeployed, recordedGenerations, recordOf } from "../../platform/stack/history";
import { copyRecordedFiles } from "../../platform/stack/ownFiles";
import { planStack } from "../../platform/stack/planStack";
import { findSecretStore, readSecrets } from "../../platform/stack/secrets";
import type { Identity } from "./containers";
import type { PlannedSide } from "./side";

/** What the last `up` from this folder was made from. */
export interface RecordFolder {
  folder: string;
  generation: string;
  at: Date;
  /** Path of what this machine had resolved by then. */
  resolved: string;
  remove: () => void;
}

/** The record of the last `up`, laid out like a project's folder; undefined when there was none from here. */
export function openRecord(projectDir: string, stack: string): RecordFolder | undefined {
  const generation = recordedGenerations(projectDir, stack)[0];
  if (!generation) return undefined;
  const record = recordOf(projectDir, stack, generation);
  const folder = mkdtempSync(join(tmpdir(), "gpubox-record-"));
  copyFileSync(join(record, "stack.yaml"), join(folder, `Pulumi.${stack}.yaml`));
  for (const box of stackFilesIn(record)) copyFileSync(join(record, box), join(folder, box));
  copyRecordedFiles(record, folder);
  const lock = join(record, MODEL_LOCK_FILE);
  if (existsSync(lock)) copyFileSync(lock, join(folder, MODEL_LOCK_FILE));
  return {
    folder,
    generation,
    at: statSync(record).mtime,
    resolved: join(record, "resolved.json"),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/**
 * Compares what was really deployed with what `after` would be, by hashes that include the secrets' values. They also
 * reveal a change of gpubox itself. A secret that is not set yet has its stand-in.
 *
 * Undefined when nothing was recorded. `reason` says why the secrets cannot be read here.
 */
export async function realIdentity(
  projectDir: string,
  stack: string,
  { resolved, standIns }: Pick<PlannedSide, "resolved" | "standIns">,
): Promise<{ identity?: Identity; reason?: string }> {
  const before: DeployedBox | undefined = readDeployed(projectDir, stack);
  if (!before) return {};
  try {
    const secrets = { ...standIns, ...(await readSecrets(await findSecretStore(projectDir, stack))) };
    return { identity: { before, after: deployedBox(planStack(projectDir, stack, secrets, resolved)) } };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { reason: error.what };
  }
}
