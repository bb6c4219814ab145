import { dockerAt } from "../docker/client";
import { execInPod } from "../kubernetes/exec";
import type { Cluster } from "../kubernetes/kubectl";
import { type RunResult, UserError } from "../process";
import { asset } from "../stack/assets";

/** A Postgres container, of a box or of a rehearsal. */
export interface DatabaseAt {
  docker: string;
  container: string;
}

/** A Postgres in a pod. */
export interface PodDatabase {
  cluster: Cluster;
  /** `statefulset/database` */
  workload: string;
  /** The command that shows how it is. */
  look: string;
}

/** A Postgres that answers questions. */
export type ReadableDatabase = DatabaseAt | PodDatabase;

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
  return ["exec", "-i", at.container, ...databaseCommand(script, words)];
}

/** The command that runs a script where Postgres runs, with `words` as "$1", "$2", …. */
function databaseCommand(script: string, words: string[]): string[] {
  return ["sh", "-c", `${POSTGRES_PATH} ${script}`, "sh", ...words];
}

/**
 * Start of a shell script: `log_in_with`, which lets programs of Postgres log in with the password on standard input. It
 * is part of the script, because a container of an older release has no such file.
 */
export function logInWith(): string {
  return asset("database/login.sh");
}

/**
 * Start of a shell script inside the container that makes Postgres programs log in as the owner of LiteLLM's database,
 * with its password and over TCP, as the gateway does.
 */
export function asOwner(): string {
  return `${logInWith()}log_in_with </etc/gpubox/password
export PGHOST=127.0.0.1 PGUSER=${LITELLM} PGDATABASE=${LITELLM}
`;
}

/**
 * Runs SQL in LiteLLM's database as its owner, never as the superuser. An attacker who got through the gateway could
 * have planted a function or a cast there, which would run with the caller's rights.
 *
 * @param sql statements for psql, including its `\` commands, passed through standard input
 * @returns unaligned rows, with a tab between fields
 * @throws UserError with Postgres's own words
 */
export function ownerSql(at: ReadableDatabase, sql: string): Promise<string> {
  return psql(at, `${asOwner()}psql`, LITELLM, sql);
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

async function psql(at: ReadableDatabase, how: string, database: string, sql: string): Promise<string> {
  const script = `${how} -X -d "$1" -v ON_ERROR_STOP=1 -qtA -F "$(printf '\\t')"`;
  const { code, stdout, stderr } =
    "cluster" in at
      ? await execInPod(at.cluster, at.workload, databaseCommand(script, [database]), sql)
      : await dockerAt(at.docker).run(insideDatabase(at, script, [database]), { stdin: sql });
  if (code === 0) return stdout.trimEnd();
  throw psqlFailed(at, { code, stdout, stderr });
}

function psqlFailed(at: ReadableDatabase, { code, stderr }: RunResult): UserError {
  const words = stderr.trim().split("\n").slice(-3).join(" ");
  if ("cluster" in at && (code === 127 || !/psql: |ERROR: |FATAL: /.test(stderr)))
    return new UserError(
      `The database's pod cannot be asked: ${code === 127 ? "there is no `kubectl` on PATH" : words}.`,
      `Look at it: ${at.look}.`,
    );
  if (/No such container|is not running/.test(stderr) && !("cluster" in at))
    return new UserError(
      `The database is not running: there is no container ${at.container}.`,
      "Run `gpubox up` first.",
    );
  return new UserError(`Postgres refused: ${words}`, "Correct it and try again.");
}

/** True while LiteLLM's database has no table. */
export async function hasNoTables(at: ReadableDatabase): Promise<boolean> {
  const tables =
    "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
  return (await ownerSql(at, tables)) === "0";
}
