import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type DatabaseAt, insideDatabase, LITELLM } from "../../platform/box/database";
import { UserError } from "../../platform/process";
import { parseTables, TABLES, type Tables } from "./tables";

/** Dump and sums of one moment: both see the snapshot that the first transaction exported. The sums go to standard error. */
const SNAPSHOT = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \\gset
\\setenv GPUBOX_SNAPSHOT :snapshot
\\! pg_dump -h /tmp -U postgres -Fc --snapshot="$GPUBOX_SNAPSHOT" ${LITELLM}
\\if :SHELL_ERROR
DO $$ BEGIN RAISE EXCEPTION 'pg_dump failed'; END $$;
\\endif
\\o | cat >&2
${TABLES}
COMMIT;
`;

/**
 * Writes LiteLLM's database to a file, in Postgres' custom format, and returns what was in it at that moment.
 *
 * @throws UserError with Postgres' own words
 */
export async function dump(at: DatabaseAt, path: string): Promise<Tables> {
  const script = `psql -h /tmp -U postgres -d ${LITELLM} -v ON_ERROR_STOP=1 -qtA -F "$(printf '\\t')"`;
  const { code, stderr } = await withFile(path, "wx", (file) =>
    child(insideDatabase(at, script), ["pipe", file, "pipe"], SNAPSHOT),
  );
  const tables = parseTables(stderr);
  if (code === 0) return tables;
  const words = stderr.split("\n").filter((line) => line.trim() && line.split("\t").length !== 3);
  throw new UserError(
    `The database could not be dumped: ${words.slice(-3).join(" ") || `exit code ${code}`}`,
    "Correct it and try again.",
  );
}

/**
 * Fills an empty database from a dump; everything in it belongs to the gateway's role then.
 *
 * @throws UserError when the dump cannot be restored whole
 */
export async function restoreDump(at: DatabaseAt, database: string, path: string): Promise<void> {
  const script = `pg_restore -h /tmp -U postgres -d "$1" --no-owner --no-privileges --role=${LITELLM} --exit-on-error`;
  const { code, stderr } = await withFile(path, "r", (file) =>
    child(insideDatabase(at, script, [database]), [file, "ignore", "pipe"]),
  );
  if (code === 0) return;
  throw new UserError(
    `The dump cannot be restored: ${stderr.trim().split("\n").slice(-2).join(" ") || `exit code ${code}`}`,
    "Take another backup.",
  );
}

async function withFile<T>(path: string, flags: string, action: (file: number) => Promise<T>): Promise<T> {
  const file = openSync(path, flags, 0o600);
  try {
    return await action(file);
  } finally {
    closeSync(file);
  }
}

/** `docker` with a file in place of a pipe: a dump may be larger than this process should hold. */
function child(
  args: string[],
  stdio: ("pipe" | "ignore" | number)[],
  stdin?: string,
): Promise<{ code: number; stderr: string }> {
  return new Promise((resolve) => {
    const process = spawn("docker", args, { stdio });
    const said: Buffer[] = [];
    process.stderr?.on("data", (chunk: Buffer) => said.push(chunk));
    const end = (code: number | null) =>
      resolve({ code: code ?? 137, stderr: Buffer.concat(said).toString() });
    process.on("error", () => end(127));
    process.on("close", end);
    process.stdin?.on("error", () => {});
    process.stdin?.end(stdin);
  });
}
