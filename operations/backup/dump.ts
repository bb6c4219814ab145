import { asOwner, type DatabaseAt, insideDatabase, LITELLM } from "../../platform/box/database";
import { UserError } from "../../platform/process";
import { child, lastWords, withFile } from "./child";
import { foreignEntries, refuseForeign } from "./contents";
import { parseTables, TABLES, type Tables } from "./tables";

/**
 * Dump and sums of one moment: both use the snapshot that the first transaction exported. The sums go to standard
 * error.
 */
const SNAPSHOT = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \\gset
\\setenv GPUBOX_SNAPSHOT :snapshot
\\! pg_dump -Fc --no-owner --no-privileges --exclude-extension='*' --snapshot="$GPUBOX_SNAPSHOT" ${LITELLM}
\\if :SHELL_ERROR
DO $$ BEGIN RAISE EXCEPTION 'pg_dump failed'; END $$;
\\endif
\\o | cat >&2
${TABLES}
COMMIT;
`;

/**
 * Writes LiteLLM's database to a file in Postgres's custom format and returns its content at that moment. Reads as the
 * database's owner, so that a trap planted through the gateway never runs as superuser.
 *
 * @throws UserError with Postgres's own words, and when no restore would accept the dump
 */
export async function dump(at: DatabaseAt, path: string): Promise<Tables> {
  const script = `${asOwner()}psql -X -v ON_ERROR_STOP=1 -qtA -F "$(printf '\\t')"`;
  const { code, stderr } = await withFile(path, "wx", (file) =>
    child(at.docker, insideDatabase(at, script), ["pipe", file, "pipe"], SNAPSHOT),
  );
  if (code === 0) {
    await checkList(at, path, "The database");
    return parseTables(stderr);
  }
  const words = stderr.split("\n").filter((line) => line.trim() && line.split("\t").length !== 3);
  throw new UserError(
    `The database could not be dumped: ${lastWords(words.join("\n"), code)}`,
    "Correct it and try again.",
  );
}

/**
 * Checks a dump's list before any of the dump runs.
 *
 * @param what names the dump in the message
 * @throws UserError that names an entry which LiteLLM's schema does not have
 */
export async function checkList(at: DatabaseAt, path: string, what: string): Promise<void> {
  const { code, stdout, stderr } = await withFile(path, "r", (file) =>
    child(at.docker, insideDatabase(at, "pg_restore --list"), [file, "pipe", "pipe"]),
  );
  if (code !== 0)
    throw new UserError(`The dump cannot be read: ${lastWords(stderr, code)}`, "Take another backup.");
  refuseForeign(foreignEntries(stdout), what);
}
