#!/usr/bin/env python3
"""Bring the database to the schema of a gateway's image. Runs in a container of its own, which ends.

An empty database gets at once what all migrations would make of it, where the image brings that along, as the recipe's does.
Any other is migrated by LiteLLM's own job. Exits with 0 when the database has the schema; else it prints what to do.
"""
import os
import pathlib
import re
import sys
from hashlib import sha256
from importlib.util import find_spec
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

try:
    import psycopg
except ImportError:
    psycopg = None

# Made by images/gateway/schema/make.sh.
SCHEMA = pathlib.Path("/app/database-schema.sql")
EXTRAS = find_spec("litellm_proxy_extras")
MIGRATIONS = pathlib.Path(EXTRAS.origin).with_name("migrations") if EXTRAS else None

# The number under which Prisma keeps all others from migrating.
PRISMA_LOCK = 72707369

# What Prisma and libpq both know. libpq refuses a URL with any other parameter.
COMMON = ["sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"]
COMMON += ["connect_timeout", "application_name", "options", "host"]

# Prisma, too, takes a database with an unknown table, type or function for anything but empty.
IS_EMPTY = """SELECT NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT FROM pg_type WHERE typnamespace = 'public'::regnamespace
  UNION ALL SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace)"""

# Statements that leave something behind where a later one of the same migration fails.
LASTING = re.compile(r"\b(CONCURRENTLY|COMMIT|VACUUM)\b", re.IGNORECASE)

# By libpq's words: what the database does, and what helps.
REFUSALS = [
    ("permission denied", "lets the URL's user not read what is there", "Make it the owner of the database and its tables."),
    (
        "certificate|SSL|TLS",
        "shows no certificate that the URL accepts",
        "Correct sslmode and sslrootcert, or the server's certificate.",
    ),
    ("password|pg_hba|role ", "does not let the URL's user in", "Correct the user and the password."),
    ("database .* does not exist", "has no database of the URL's name", "Make it: CREATE DATABASE."),
    ("", "does not answer", "Start it, and let this host's containers reach it."),
]

LEDGER = """SELECT migration_name, checksum, finished_at IS NOT NULL, logs
  FROM _prisma_migrations WHERE rolled_back_at IS NULL"""

FORGET = """UPDATE _prisma_migrations SET rolled_back_at = now()
  WHERE migration_name = %s AND finished_at IS NULL AND rolled_back_at IS NULL"""

# What identifies the salt key. There is one only where Postgres itself, running elsewhere, does not look at it.
SALT = pathlib.Path("/etc/gpubox/salt-fingerprint")

NOTED_SALT = """SELECT param_value->>'fingerprint' FROM "LiteLLM_Config" WHERE param_name = 'gpubox_salt'"""
NOTE_SALT = """INSERT INTO "LiteLLM_Config" (param_name, param_value)
  VALUES ('gpubox_salt', jsonb_build_object('fingerprint', %s::text)) ON CONFLICT DO NOTHING"""

MAY_CREATE = "SELECT has_schema_privilege(oid, 'CREATE'), current_user FROM pg_namespace WHERE nspname = %s"


def refusal(url, error):
    words = " ".join(str(error).split())
    does, fix = next((does, fix) for pattern, does, fix in REFUSALS if re.search(pattern, words))
    return f"{place(url)}: The database at {address(url)} {does}. {fix} It said: {words}"


def place(url):
    return "gpubox:database" if urlsplit(url).hostname == "database" else "gpubox:database.url"


def address(url):
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 5432}"


def given(url):
    return dict(parse_qsl(urlsplit(url).query))


def libpq_url(url):
    """The URL as libpq reads it. For Prisma, `sslcert` without a key is the authority, and `sslaccept` says if it counts."""
    query = given(url)
    kept = {name: query[name] for name in COMMON if name in query}
    if "sslcert" in kept and "sslkey" not in kept:
        authority = kept.pop("sslcert")
        if query.get("sslaccept") == "strict":
            kept.update(sslmode="verify-full", sslrootcert=authority)
    return urlsplit(url)._replace(query=urlencode(kept, quote_via=quote)).geturl()


def connect(url):
    timeout = {} if "connect_timeout" in given(url) else {"connect_timeout": 10}
    connection = psycopg.connect(libpq_url(url), **timeout)
    connection.execute("SELECT set_config('search_path', quote_ident(%s), false)", (schema_of(url),))
    return connection


def schema_of(url):
    return given(url).get("schema", "public")


def check_salt(connection, url):
    """Refuse another salt key than the one that the database's values are encrypted with. A new database gets it noted."""
    table = connection.execute("""SELECT to_regclass('"LiteLLM_Config"')""").fetchone()[0]
    if not SALT.exists() or table is None:
        return
    own = SALT.read_text()
    noted = connection.execute(NOTED_SALT).fetchone()
    if noted and noted[0] != own:
        fix = "Set that one (docs/state.md)."
        sys.exit(f"gpubox:saltKey: The database at {address(url)} was encrypted with another salt key. {fix}")
    connection.execute(NOTE_SALT, (own,))


def make_at_once(connection):
    """Whether an empty database has the schema now."""
    if not SCHEMA.exists() or not connection.execute(IS_EMPTY).fetchone()[0]:
        return False
    try:
        with connection.transaction():
            connection.execute(SCHEMA.read_text())
    except psycopg.Error as error:
        print(f"The schema cannot be made at once, so every migration runs: {error}", file=sys.stderr)
        return False
    return True


def rows_of_ledger(connection):
    """Of each migration that was not rolled back: name, checksum, whether it has finished, Postgres' words if it failed."""
    if connection.execute("SELECT to_regclass('_prisma_migrations')").fetchone()[0] is None:
        return []
    return connection.execute(LEDGER).fetchall()


def forget_refused(connection, rows):
    """Let a migration run again that Postgres refused. It was one transaction, so nothing of it is left.

    LiteLLM starts none while the ledger holds a failed one, and leaves it to a person to find out what is left of it.
    """
    for name, checksum, finished, logs in rows:
        script = MIGRATIONS / name / "migration.sql"
        if finished or not logs or not script.is_file():
            continue
        text = script.read_bytes()
        if sha256(text).hexdigest() == checksum and not LASTING.search(text.decode()):
            connection.execute(FORGET, (name,))
            print(f"The migration {name}, which failed before, runs again.")


def prepare(connection, url):
    """Whether migrations have to run."""
    # Until the end of this transaction.
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (PRISMA_LOCK,))
    check_salt(connection, url)
    schema = schema_of(url)
    rows = rows_of_ledger(connection)
    known = {path.parent.name for path in MIGRATIONS.glob("*/migration.sql")}
    applied = {name for name, _, finished, _ in rows if finished}
    may, role = connection.execute(MAY_CREATE, (schema,)).fetchone() or (True, "")
    if known - applied and not may:
        fix = f'Let it: GRANT CREATE ON SCHEMA {schema} TO "{role}".'
        sys.exit(f"{place(url)}: The role {role} may not make tables in the schema {schema} of the database. {fix}")
    if schema == "public" and make_at_once(connection):
        return False
    forget_refused(connection, rows)
    newer = sorted(name for name in applied - known if name > max(known))
    if newer:
        fix = "Take the image that migrated it, or a newer one, or restore a backup from before (docs/backup.md)."
        what = f"The database is newer than this gateway: LiteLLM here does not know its migration {newer[-1]}."
        print(f"note: {what} {fix}")
    return bool(known - applied)


def main():
    # An image of another make may lack what looks at the database first.
    if not psycopg or not MIGRATIONS:
        run_own_job()
    url = os.environ["DATABASE_URL"]
    try:
        with connect(url) as connection:
            pending = prepare(connection, url)
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
        sys.exit(refusal(url, error))
    if not SCHEMA.exists():
        run_own_job()
    run_job(pending)
    with connect(url) as connection:
        check_salt(connection, url)


def run_own_job():
    """LiteLLM's job as its image has it, in this one's place."""
    sys.stdout.flush()
    os.chdir("/app" if os.path.isdir("/app") else "/")
    os.execvp("python3", ["python3", "-m", "litellm.proxy.prisma_migration"])


def run_job(pending):
    """LiteLLM's job as the recipe's pinned version has it, without the command around it. That loads the whole proxy and makes
    a client of the tables, which the image has already. Prisma's command line starts only where migrations have to run."""
    # Asked for the format of logs and for a path that PRISMA_CLI_PATH has. They load for seconds, and the job does without.
    sys.modules.update(litellm=None, prisma=None)
    # The job begins with the command line's version, so that it is installed. It is, and takes four seconds to answer.
    os.environ.setdefault("LITELLM_PRISMA_BOOTSTRAP_TIMEOUT", "0.01")
    from litellm_proxy_extras.utils import ProxyExtrasDBManager as manager

    try:
        if pending:
            done = manager.run_migration_job(use_migrate=True, use_v2_resolver=True)
        else:
            manager.repair_invalid_indexes()
            manager.apply_replica_identity_full_if_requested()
            done = manager.build_request_log_indexes()
    except RuntimeError as error:
        sys.exit(f"The migration cannot go on. {error}")
    if not done:
        sys.exit("LiteLLM's migration job failed, and said why above.")


if __name__ == "__main__":
    main()
