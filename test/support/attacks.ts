import { RESTORER } from "../../operations/backup/restoreRole";
import { NEXT } from "../../operations/backup/swap";

/** What would be there if a program ran, or a file were written. */
export const CANARY = "/tmp/canary";

/** What the container keeps secret, readable for the user that Postgres runs as. */
const SECRET = "/etc/gpubox/password";

/** Statements that reach out of the database, or above the role. Each has to be refused by Postgres itself. */
export const REACHING = `
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

/** How Postgres says no to a role. */
export const DENIED = /permission denied|must be (superuser|owner)|access to library .* is not allowed/i;

/** Statements that a role without rights may run, and what is found of each in the database afterwards; undefined: only a superuser may. */
export const STAYING: [string, string, string?][] = [
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
  ["CREATE TYPE public.r AS RANGE (SUBTYPE = int)", "type public.r", "unseen"],
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
export const MADE_BY_SUPERUSERS: [string, string, string?][] = [
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
