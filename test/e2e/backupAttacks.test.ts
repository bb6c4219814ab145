import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { backupJobSchema } from "../../configs/plan/backup";
import { backUp } from "../../operations/backup/backup";
import { FOREIGN_OBJECTS } from "../../operations/backup/contents";
import { DUMP } from "../../operations/backup/manifest";
import { restoreNext } from "../../operations/backup/restore";
import { RESTORER, restoreDump } from "../../operations/backup/restoreRole";
import { withBackup } from "../../operations/backup/store";
import { adoptNext, dropNext, makeNext, NEXT } from "../../operations/backup/swap";
import { adminSql, hasNoTables } from "../../platform/box/database";
import { BAIT, dumpBait, insteadOfTable, makeBait, TABLE, unsignedBackup } from "../support/attackDumps";
import { type DatabaseProject, makeDatabaseProject } from "../support/databaseProject";
import { gatewaySql } from "../support/postgres";
import { gpubox, hasDocker, removeProject } from "../support/project";

jest.setTimeout(120_000);

/** What would be there if a program ran, or a file were written. */
const CANARY = "/tmp/canary";

/** What the container keeps secret, readable for the user that Postgres runs as. */
const SECRET = "/etc/gpubox/password";

/** Statements that reach out of the database, or above the role. Each has to be refused by Postgres itself. */
const REACHING = `
COPY (SELECT 1) TO PROGRAM 'touch ${CANARY}'
COPY (SELECT 1) TO '${CANARY}'
CREATE TABLE public.t (x text); COPY public.t FROM '${SECRET}'
CREATE TABLE public.t (x text); COPY public.t FROM PROGRAM 'touch ${CANARY}'
CREATE TABLE public.t (x text DEFAULT pg_read_file('${SECRET}')); INSERT INTO public.t DEFAULT VALUES
CREATE TABLE public.t (x text, CHECK (x = pg_read_file('${SECRET}'))); INSERT INTO public.t VALUES ('')
CREATE FUNCTION public.f(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN pg_read_file('${SECRET}'); END$$; CREATE TABLE public.t (x text, y text GENERATED ALWAYS AS (public.f(x)) STORED); INSERT INTO public.t VALUES ('')
CREATE FUNCTION public.f(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN pg_read_file('${SECRET}'); END$$; CREATE TABLE public.t (x text); INSERT INTO public.t VALUES (''); CREATE INDEX ON public.t (public.f(x))
CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 1) TO PROGRAM 'touch ${CANARY}'; RETURN NEW; END$$; CREATE TABLE public.t (x text); CREATE TRIGGER t BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.f(); INSERT INTO public.t VALUES ('')
CREATE VIEW public.v AS SELECT pg_read_file('${SECRET}'); CREATE TABLE public.t AS SELECT * FROM public.v
SELECT lo_import('${SECRET}')
SELECT lo_export(lo_create(0), '${CANARY}')
SELECT pg_read_file('${SECRET}')
SELECT pg_read_binary_file('${SECRET}')
SELECT pg_ls_dir('.')
SELECT pg_stat_file('postgresql.conf')
SELECT pg_reload_conf()
SELECT pg_switch_wal()
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IS DISTINCT FROM current_user
SELECT rolpassword FROM pg_authid
UPDATE pg_authid SET rolsuper = true
SET allow_system_table_mods = on
CREATE EXTENSION dblink SCHEMA public
CREATE EXTENSION postgres_fdw SCHEMA public
CREATE EXTENSION file_fdw SCHEMA public
CREATE EXTENSION hstore SCHEMA public
CREATE FUNCTION public.f(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'
CREATE FUNCTION public.f() RETURNS int LANGUAGE internal AS 'pg_reload_conf'
LOAD '/tmp/x.so'
SET session_preload_libraries = 'x'
SET dynamic_library_path = '/tmp'
SET log_statement = 'all'
ALTER SYSTEM SET archive_command = 'touch ${CANARY}'
ALTER ROLE ${RESTORER} SUPERUSER
ALTER ROLE ${RESTORER} CREATEROLE
ALTER ROLE postgres PASSWORD 'x'
ALTER ROLE litellm PASSWORD 'x'
ALTER ROLE litellm SET search_path = 'x'
CREATE ROLE other LOGIN
DROP ROLE litellm
GRANT pg_execute_server_program TO ${RESTORER}
GRANT postgres TO ${RESTORER}
GRANT litellm TO ${RESTORER}
REASSIGN OWNED BY litellm TO ${RESTORER}
SET ROLE postgres
SET ROLE litellm
SET SESSION AUTHORIZATION postgres
RESET ROLE; RESET SESSION AUTHORIZATION; COPY (SELECT 1) TO PROGRAM 'touch ${CANARY}'
DROP DATABASE litellm WITH (FORCE)
ALTER DATABASE litellm RENAME TO other
ALTER DATABASE litellm SET search_path = 'x'
ALTER DATABASE litellm OWNER TO ${RESTORER}
ALTER DATABASE ${NEXT} SET search_path = 'x'
ALTER DATABASE ${NEXT} OWNER TO ${RESTORER}
CREATE DATABASE other
CREATE TABLESPACE other LOCATION '/tmp'
CREATE SCHEMA other
CREATE TEMP TABLE t (x int)
CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE CAST (text AS int) WITH INOUT
CREATE PUBLICATION p FOR ALL TABLES
CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p WITH (connect = false)
CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f()
CREATE FOREIGN DATA WRAPPER w
CREATE OPERATOR FAMILY public.f USING btree
CREATE ACCESS METHOD a TYPE INDEX HANDLER bthandler
`
  .split("\n")
  .filter(Boolean);

const DENIED = /permission denied|must be (superuser|owner)|access to library .* is not allowed/i;

/** Statements that a role without rights may run, and what is found of each in the database afterwards; undefined: only a superuser may. */
const STAYING: [string, string, string?][] = [
  ["CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.f()"],
  [
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "function public.f()",
  ],
  ["CREATE PROCEDURE public.f() LANGUAGE sql AS 'SELECT 1'", "procedure public.f()"],
  [
    "CREATE FUNCTION public.litellm_bump_mcp_catalog_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "function public.litellm_bump_mcp_catalog_revision()",
    "unseen",
  ],
  ["CREATE AGGREGATE public.a(int) (SFUNC = int4pl, STYPE = int)", "aggregate public.a(integer)"],
  [
    "CREATE TABLE public.t (n int); CREATE TRIGGER x BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "trigger x on public.t",
  ],
  [
    "CREATE TABLE public.t (n int); CREATE RULE x AS ON INSERT TO public.t DO ALSO DELETE FROM public.t",
    "rule x on public.t",
  ],
  ["CREATE TABLE public.t (n int); CREATE POLICY x ON public.t", "policy x on public.t"],
  ["CREATE TABLE public.t (n int); ALTER TABLE public.t ENABLE ROW LEVEL SECURITY", "table public.t"],
  [
    "CREATE TYPE public.e AS ENUM ('a'); CREATE CAST (public.e AS int) WITH INOUT",
    "cast (public.e AS integer)",
  ],
  [
    "CREATE OPERATOR public.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
    "operator public.@@@(integer,integer)",
  ],
  ["CREATE DOMAIN public.d AS text CHECK (VALUE <> '')", "type public.d"],
  ["CREATE TYPE public.r AS RANGE (SUBTYPE = int)", "type public.r"],
  ['CREATE COLLATION public.c FROM "C"', "collation public.c"],
  [
    "CREATE TABLE public.t (n int, m int); CREATE STATISTICS public.s ON n, m FROM public.t",
    "statistics object public.s",
  ],
  ["CREATE MATERIALIZED VIEW public.m AS SELECT 1 AS n", "materialized view public.m"],
  ["CREATE TABLE public.t (n int) PARTITION BY LIST (n)", "table public.t", "unseen"],
  ["CREATE TEXT SEARCH CONFIGURATION public.s (COPY = simple)", "text search configuration public.s"],
  ["CREATE TEXT SEARCH DICTIONARY public.s (TEMPLATE = simple)", "text search dictionary public.s"],
  ["CREATE CONVERSION public.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", "conversion public.c"],
  ["ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC", "default acl"],
  ["SELECT lo_create(4711)", "large object 4711"],
];

/** The same for what only a superuser makes; the word in the dump's list where it is another. */
const MADE_BY_SUPERUSERS: [string, string, string?][] = [
  ["CREATE SCHEMA other", "schema other"],
  ["CREATE EXTENSION hstore", "extension hstore"],
  ["CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw", "server s"],
  [
    "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE public.t (n text) SERVER s OPTIONS (program 'id')",
    "foreign table public.t",
  ],
  ["CREATE FOREIGN DATA WRAPPER w", "foreign-data wrapper w"],
  ["CREATE PUBLICATION p FOR ALL TABLES", "publication p"],
  [
    "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f()",
    "event trigger e",
  ],
  ["CREATE LANGUAGE other HANDLER plpgsql_call_handler", "language other"],
  ["CREATE ACCESS METHOD a TYPE INDEX HANDLER bthandler", "access method a"],
  ["CREATE OPERATOR FAMILY public.o USING btree", "operator family public.o USING btree"],
];

(hasDocker ? describe : describe.skip)("an altered backup that somebody restores all the same", () => {
  let project: DatabaseProject;
  let root: string;
  const job = () =>
    backupJobSchema.parse(JSON.parse(renderText(project.plan.backup!.stdin!, project.secrets)));
  const store = () => ({ projectDir: project.dir, job: job(), directory: join(root, "kept") });
  const quiet = () => {};

  /** Restores as `--unsigned` does, up to the swap. */
  async function restored(folder: string): Promise<void> {
    try {
      await withBackup(store(), folder, { unsigned: true }, (backup) => restoreNext(job(), backup));
    } finally {
      await dropNext(job());
    }
  }
  /** The dump of a database with that table, which attacks are put into. */
  let plain: Buffer;
  const asBackup = (dump: Buffer) => unsignedBackup(join(root, "attack"), dump, job().saltFingerprint);
  const altered = (sql: string) => asBackup(insteadOfTable(plain, sql));

  /** Roles with rights and passwords, memberships, databases with settings and owners, and what the gateway has. */
  const cluster = async () =>
    adminSql(
      job(),
      `SELECT * FROM pg_authid ORDER BY oid; SELECT * FROM pg_auth_members ORDER BY oid;
SELECT datname, datdba, datacl FROM pg_database WHERE datname <> '${BAIT}' ORDER BY oid;
SELECT * FROM pg_db_role_setting; SELECT name, setting FROM pg_settings WHERE source = 'configuration file' ORDER BY 1;
SELECT spcname FROM pg_tablespace; SELECT subname FROM pg_subscription;
\\! ls ${CANARY} 2>&1
\\connect litellm
SELECT count(*) FROM "LiteLLM_TeamTable";`,
    );
  let before: string;

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "gpubox-attacks-"));
    project = await makeDatabaseProject("baka", 4846, {});
    await gatewaySql(project.plan, `INSERT INTO "LiteLLM_TeamTable" (team_id) VALUES ('t')`);
    await makeBait(job(), TABLE);
    plain = await dumpBait(job(), join(root, "plain"));
    before = await cluster();
  });
  afterAll(() => {
    if (project) removeProject(project);
    rmSync(root, { recursive: true, force: true });
  });
  afterEach(async () => {
    expect(await cluster()).toBe(before);
  });

  describe("runs as a role that can do nothing else:", () => {
    test("an entry of a dump can be replaced by any statement, and a harmless one is run", async () => {
      const harmless = await altered("CREATE TABLE public.other (n int)");
      // That it ran shows in what is found: the manifest knows no table.
      await expect(restored(harmless)).rejects.toThrow("public.other is not in the backup");
    });

    test.each(REACHING)("%s is refused", async (sql) => {
      await expect(restored(await altered(sql))).rejects.toThrow(DENIED);
    });

    test.each(STAYING.map(([sql, found]) => [sql, found] as const))(
      "%s under the name of a table is found afterwards",
      async (sql, found) => {
        await expect(restored(await altered(sql))).rejects.toThrow(
          /The backup holds what LiteLLM's schema does not: .* A restore brings back/,
        );
        await makeBait(job(), sql);
        expect(await adminSql(job(), FOREIGN_OBJECTS, BAIT)).toContain(found);
      },
    );

    test("it may come into no database but its own, and is gone when the gateway's role has what it wrote", async () => {
      await makeNext(job());
      const into = `SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege('${RESTORER}', oid, 'CONNECT')`;
      const owned = `SELECT count(*) FROM pg_database WHERE datdba = '${RESTORER}'::regrole`;
      const can =
        "SELECT rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolpassword FROM pg_authid";
      expect(await adminSql(job(), `${into} AND datname <> '${BAIT}'; ${owned};`)).toBe(`${NEXT}\n0`);
      expect(await adminSql(job(), `${can} WHERE rolname = '${RESTORER}'`)).toBe("f\tf\tf\tf\tf\tf\t");
      await adoptNext(job());
      expect(await adminSql(job(), `SELECT count(*) FROM pg_roles WHERE rolname = '${RESTORER}'`)).toBe("0");
      await dropNext(job());
    });

    test("a statement that does not end is ended, with its session, and the role cannot come in again", async () => {
      const folder = await altered("SELECT pg_sleep(3600)");
      await makeNext(job());
      await expect(restoreDump(job(), NEXT, join(folder, DUMP), 3)).rejects.toThrow("cannot be restored");
      const left = `SELECT count(*) FROM pg_stat_activity WHERE usename = '${RESTORER}'`;
      expect(await adminSql(job(), left)).toBe("0");
      const login = `SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = '${RESTORER}'`;
      expect(await adminSql(job(), login)).toBe("f\tt");
      await dropNext(job());
    });
  });

  test.each([...STAYING, ...MADE_BY_SUPERUSERS])(
    "with %s in its list is refused before any of it runs, or where the list does not tell, afterwards",
    async (sql, found, unseen) => {
      await makeBait(job(), sql);
      expect(await adminSql(job(), FOREIGN_OBJECTS, BAIT)).toContain(found);
      const folder = await asBackup(await dumpBait(job(), join(root, "made")));
      const refused = withBackup(store(), folder, { unsigned: true }, (backup) => restoreNext(job(), backup));
      await expect(refused).rejects.toThrow("The backup holds what LiteLLM's schema does not: ");
      const there = await adminSql(job(), `SELECT count(*) FROM pg_database WHERE datname = '${NEXT}'`);
      expect(there).toBe(unseen ? "1" : "0");
      await dropNext(job());
    },
  );

  test("is refused by the command without --unsigned, and with it says what that means", async () => {
    const folder = await asBackup(plain);
    const refused = await gpubox(project, "restore", "--yes", "--from", folder);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("is not signed") });
    const said = await gpubox(project, "restore", "--yes", "--unsigned", "--from", folder);
    expect(said).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("public.fine is not in the backup"),
    });
    expect(said.stdout).toContain("This backup is not signed: whoever could write where it lay");
  });

  test("is no way up either for what a hole in the gateway planted in its own database", async () => {
    const evil = (head: string, back: string) =>
      `CREATE FUNCTION public.${head} LANGUAGE plpgsql AS $$BEGIN EXECUTE 'ALTER ROLE litellm SUPERUSER'; RETURN ${back}; END$$;`;
    // Each fits better than what our own statements mean, so that it runs in its place where public is looked into.
    const planted = [
      evil("hashtextextended(text, integer) RETURNS bigint", "0"),
      `${evil('row_text(public."LiteLLM_TeamTable") RETURNS text', "''")}
       CREATE CAST (public."LiteLLM_TeamTable" AS text) WITH FUNCTION public.row_text(public."LiteLLM_TeamTable");`,
      `${evil("differ(name, text) RETURNS boolean", "true")}
       CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = text, FUNCTION = public.differ);`,
    ];
    const undo =
      'DROP FUNCTION IF EXISTS public.hashtextextended(text, integer), public.row_text(public."LiteLLM_TeamTable"), public.differ(name, text) CASCADE';
    for (const sql of planted) {
      await gatewaySql(project.plan, sql);
      await expect(backUp(store(), "a test", quiet)).rejects.toThrow(
        /permission denied to alter role|The database holds what LiteLLM's schema does not: "/,
      );
      expect(await hasNoTables(job()).catch((error: Error) => error.message)).toEqual(expect.anything());
      expect(await cluster()).toBe(before);
      await gatewaySql(project.plan, undo);
    }
    expect(await backUp(store(), "a test", quiet)).toContain("kept/baka-");
  });
});
