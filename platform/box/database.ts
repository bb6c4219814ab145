import { dockerAt } from "../docker/client";
import { UserError } from "../process";

/** A Postgres container, of a box or of a rehearsal. */
export interface DatabaseAt {
  docker: string;
  container: string;
}

/** Name of LiteLLM's database and of the role that owns it. */
export const LITELLM = "litellm";

/**
 * Start of a shell script inside the container. The official image and the recipe have the programs in different
 * folders.
 */
export const POSTGRES_PATH = 'PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)";';

/**
 * Arguments of `docker` that run a script inside the container, with `words` as "$1", "$2", …. It reads standard input.
 */
export function insideDatabase(at: DatabaseAt, script: string, words: string[] = []): string[] {
  return ["exec", "-i", at.container, "sh", "-c", `${POSTGRES_PATH} ${script}`, "sh", ...words];
}

/**
 * Start of a shell script inside the container that makes Postgres programs log in as the owner of LiteLLM's database,
 * with its password and over TCP, as the gateway does.
 */
export const AS_OWNER = `export PGPASSWORD="$(cat /etc/gpubox/password)" PGHOST=127.0.0.1 PGUSER=${LITELLM} PGDATABASE=${LITELLM};`;

/**
 * Runs SQL in LiteLLM's database as its owner, never as the superuser. An attacker who got through the gateway could
 * have planted a function or a cast there, which would run with the caller's rights.
 *
 * @param sql statements for psql, including its `\` commands, passed through standard input
 * @returns unaligned rows, with a tab between fields
 * @throws UserError with Postgres's own words
 */
export function ownerSql(at: DatabaseAt, sql: string): Promise<string> {
  return psql(at, `${AS_OWNER} psql`, LITELLM, sql);
}

/**
 * Runs SQL as the superuser, over the container's socket.
 *
 * @param sql see {@link ownerSql}
 * @param database never one that the gateway could write to
 * @returns see {@link ownerSql}
 * @throws UserError with Postgres's own words
 */
export function adminSql(at: DatabaseAt, sql: string, database = "postgres"): Promise<string> {
  return psql(at, "psql -h /tmp -U postgres", database, sql);
}

async function psql(at: DatabaseAt, how: string, database: string, sql: string): Promise<string> {
  const script = `${how} -X -d "$1" -v ON_ERROR_STOP=1 -qtA -F "$(printf '\\t')"`;
  const docker = dockerAt(at.docker);
  const { code, stdout, stderr } = await docker.run(insideDatabase(at, script, [database]), { stdin: sql });
  if (code === 0) return stdout.trimEnd();
  if (/No such container|is not running/.test(stderr))
    throw new UserError(
      `The database is not running: there is no container ${at.container}.`,
      "Run `gpubox up` first.",
    );
  throw new UserError(
    `Postgres refused: ${stderr.trim().split("\n").slice(-3).join(" ")}`,
    "Correct it and try again.",
  );
}

/** True while LiteLLM's database has no table. */
export async function hasNoTables(at: DatabaseAt): Promise<boolean> {
  const tables =
    "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
  return (await ownerSql(at, tables)) === "0";
}
