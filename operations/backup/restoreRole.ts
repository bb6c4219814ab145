import { adminSql, type DatabaseAt, insideDatabase, logInWith } from "../../platform/box/database";
import { UserError } from "../../platform/process";
import { child, lastWords, withFile } from "./child";
import { parseTables, TABLES, type Tables } from "./tables";

/** The role that a dump's statements run as. It is made for one restore and dropped afterwards. */
export const RESTORER = "gpubox_restore";

/** Longest duration of a restore, in seconds. */
const SECONDS = 2 * 3600;

/**
 * The role connects over TCP like anybody, so a dump's statements never find a superuser to fall back to: a session
 * itself can undo `pg_restore --role` and SET SESSION AUTHORIZATION. The password is made inside the container and
 * never leaves it. The sums show what the role sees of its own work.
 */
const restoreScript =
  () => `${logInWith()}password=$(head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n') && [ \${#password} = 64 ] || exit 1
psql -X -h /tmp -U postgres -d postgres -v ON_ERROR_STOP=1 -q <<EOF || exit 1
DO 'BEGIN EXECUTE format(''ALTER ROLE ${RESTORER} LOGIN PASSWORD %L VALID UNTIL %L'', ''$password'', now() + interval ''$2 seconds''); END';
EOF
log_in_with <<EOF || exit 1
$password
EOF
export PGHOST=127.0.0.1 PGUSER=${RESTORER} PGDATABASE="$1"
timeout -k 10 "$2" pg_restore -d "$1" --no-owner --no-privileges --no-publications --no-subscriptions \\
  --no-security-labels --no-tablespaces --exit-on-error >&2 || exit 1
printf '%s' "$3" | timeout -k 10 "$2" psql -X -v ON_ERROR_STOP=1 -qtA -F "$(printf '\\t')"`;

/** Creates the role without rights and without a login. */
export const MAKE_RESTORER = `CREATE ROLE ${RESTORER} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 2;`;

/** Statements that lock out the role and end its sessions. */
const SHUT_OUT = `ALTER ROLE ${RESTORER} NOLOGIN PASSWORD NULL;
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = '${RESTORER}';`;

/**
 * Fills an empty database from a dump, as a role that owns nothing else.
 *
 * @param seconds limit after which the restore is ended
 * @returns the database's content afterwards
 * @throws UserError when the dump cannot be restored completely
 */
export async function restoreDump(
  at: DatabaseAt,
  database: string,
  path: string,
  seconds = SECONDS,
): Promise<Tables> {
  try {
    const words = [database, String(seconds), TABLES];
    const { code, stdout, stderr } = await withFile(path, "r", (file) =>
      child(at.docker, insideDatabase(at, restoreScript(), words), [file, "pipe", "pipe"]),
    );
    if (code === 0) return parseTables(stdout);
    throw new UserError(`The dump cannot be restored: ${lastWords(stderr, code)}`, "Take another backup.");
  } finally {
    await adminSql(at, SHUT_OUT);
  }
}
