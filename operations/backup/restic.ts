import { z } from "zod";
import type { BackupJob } from "../../configs/plan/backup";
import { type RunResult, run, UserError } from "../../platform/process";
import { checkSnapshot } from "./snapshot";
import { requireSpace } from "./space";

export type Repository = NonNullable<BackupJob["restic"]>;

/** The password goes from standard input to a file descriptor: it is in no command line, no environment and no file. */
const WITH_PASSWORD = `IFS= read -r password
exec 3<<EOF
$password
EOF
exec restic --password-file /dev/fd/3 "$@" </dev/null`;

/** Puts a folder into the repository, which it creates if necessary, and keeps the stack's last `keep` backups. */
export async function putIntoRestic(
  { repository, password }: Repository,
  { folder, stack, keep }: { folder: string; stack: string; keep: number },
): Promise<void> {
  const ask = (...args: string[]) => restic({ repository, password }, args);
  const known = await ask("cat", "config");
  if (known.code !== 0 && (await ask("init")).code !== 0)
    throw new UserError(`restic cannot open ${repository}: ${lastWords(known)}`, howToFix(known));
  const tag = tagOf(stack);
  await must(ask("backup", "--quiet", "--tag", tag, folder), `restic could not write to ${repository}`);
  const forget = [
    "forget",
    "--quiet",
    "--tag",
    tag,
    "--group-by",
    "tags",
    "--keep-last",
    String(keep),
    "--prune",
  ];
  await must(ask(...forget), `restic could not prune ${repository}`);
}

/** A snapshot of a stack, newest first. */
export interface Snapshot {
  id: string;
  madeAt: string;
}

const snapshots = z.array(z.object({ short_id: z.string(), time: z.string() }));

export async function resticSnapshots(repository: Repository, stack: string): Promise<Snapshot[]> {
  const args = ["snapshots", "--json", "--tag", tagOf(stack)];
  const { stdout } = await must(restic(repository, args), `restic cannot open ${repository.repository}`);
  return snapshots
    .parse(JSON.parse(stdout))
    .map(({ short_id, time }) => ({ id: short_id, madeAt: time }))
    .sort((a, b) => (a.madeAt < b.madeAt ? 1 : -1));
}

/**
 * Copies a snapshot into a folder.
 *
 * @throws UserError before writing anything, when the snapshot contains something else than a backup or more than the
 * disk can hold
 */
export async function takeFromRestic(repository: Repository, id: string, folder: string): Promise<void> {
  const { stdout } = await must(
    restic(repository, ["ls", "--json", id]),
    `restic could not read the snapshot ${id}`,
  );
  // Twice, because the checked copy needs the same space.
  requireSpace(folder, 2 * checkSnapshot(id, stdout));
  await must(
    restic(repository, ["restore", id, "--target", folder, "--quiet"]),
    `restic could not read the snapshot ${id}`,
  );
}

function tagOf(stack: string): string {
  return `gpubox-${stack}`;
}

function restic({ repository, password }: Repository, args: string[]): Promise<RunResult> {
  return run("sh", ["-c", WITH_PASSWORD, "sh", "-r", repository, ...args], { stdin: `${password}\n` });
}

async function must(running: Promise<RunResult>, what: string): Promise<RunResult> {
  const result = await running;
  if (result.code !== 0) throw new UserError(`${what}: ${lastWords(result)}`, howToFix(result));
  return result;
}

function lastWords({ stderr, code }: RunResult): string {
  return stderr.trim().split("\n").at(-1) || `exit code ${code}`;
}

function howToFix({ code, stderr }: RunResult): string {
  if (code === 127) return "Install it: apt-get install restic.";
  if (/wrong password/.test(stderr))
    return "Set the repository's password: the secret that gpubox:backup.restic.password names.";
  return "Correct gpubox:backup.restic.repository, or what restic needs in the environment.";
}
