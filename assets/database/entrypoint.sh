#!/bin/sh
# Postgres with its data guarded: refuses another major, an empty volume where a database was, and another salt key.
# GPUBOX_OWNER: the role that owns the database of the same name.
# It replaces the image's own entrypoint, so that the official image and the recipe behave alike.
set -eu
umask 027

data=/var/lib/postgresql/data/pgdata
salt_file=/var/lib/postgresql/data/gpubox-salt
# Outside the volume: it tells a lost volume from a first start.
marker=/var/lib/gpubox/initialised
bin=$(dirname "$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres)")
PATH="$bin:$PATH"
major=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
salt=$(cat /etc/gpubox/salt-fingerprint)
password=$(cat /etc/gpubox/password)

refuse() {
  echo "gpubox: refused: $*" >&2
  exit 78
}

# After a crash the lock file names process 1, which is this shell now; Postgres takes it for a live server otherwise.
single_user() {
  PG_GRANDPARENT_PID=1 postgres --single -j -D "$1" "${2:-postgres}" >/dev/null
}

if [ -s "$data/PG_VERSION" ]; then
  found=$(cat "$data/PG_VERSION")
  [ "$found" = "$major" ] ||
    refuse "the volume holds a database of Postgres $found and this image is Postgres $major; dump it with the old image and restore it into a new volume (docs/data.md)"
  [ ! -s "$salt_file" ] || [ "$(cat "$salt_file")" = "$salt" ] ||
    refuse "the salt key is not the one that this database was encrypted with; set the old one again (docs/state.md)"
else
  [ ! -e "$marker" ] ||
    refuse "this box had a database and its volume is empty now; restore a backup, or remove $marker's host file to begin anew (docs/data.md)"
  # A first start that was interrupted leaves a directory without PG_VERSION, or the temporary one; neither held data.
  rm -rf "$data" "$data.new"
  initdb -D "$data.new" -U postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
    --auth-local=peer --auth-host=scram-sha-256 >/dev/null
  printf '%s\n' 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
  # The role owns its database and nothing else: a hole in the program that uses it must not run programs here.
  printf '%s;\n\n' "CREATE ROLE $GPUBOX_OWNER LOGIN" "CREATE DATABASE $GPUBOX_OWNER OWNER $GPUBOX_OWNER" | single_user "$data.new"
  mv "$data.new" "$data"
fi

# Volumes of the first versions have one role for all and ask for its password on the socket too. `postgres` has no password:
# it comes in over the socket, as the user that this container runs as.
grep -q 'peer$' "$data/pg_hba.conf" || sed -i '1i local all postgres peer' "$data/pg_hba.conf"
[ -s "$salt_file" ] || printf '%s' "$salt" > "$salt_file"
[ -e "$marker" ] || date -u +%FT%TZ > "$marker"
# On those volumes the owner's role is the one that initdb made. Postgres lets nobody take its rights, so it goes on under another
# name, and a new role gets the old name and all that the old one had. What was done in part is done whole at the next start.
single_user "$data" <<EOF
DO '
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''postgres'') THEN CREATE ROLE postgres SUPERUSER LOGIN; END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = ''$GPUBOX_OWNER'' AND oid = 10) THEN
    SET SESSION AUTHORIZATION postgres;
    ALTER ROLE $GPUBOX_OWNER RENAME TO gpubox_initdb;
    ALTER ROLE gpubox_initdb NOLOGIN PASSWORD NULL;
    CREATE ROLE $GPUBOX_OWNER LOGIN;
    ALTER DATABASE $GPUBOX_OWNER OWNER TO $GPUBOX_OWNER;
  END IF;
END';

EOF
single_user "$data" "$GPUBOX_OWNER" <<EOF
DO '
DECLARE
  change text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''gpubox_initdb'') THEN RETURN; END IF;
  FOR change IN
    WITH old AS (SELECT oid FROM pg_roles WHERE rolname = ''gpubox_initdb''),
    here AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ ''^pg_'' AND nspname <> ''information_schema''),
    apart AS (SELECT classid, objid FROM pg_depend WHERE deptype = ''e''
      UNION SELECT classid, objid FROM pg_depend
        WHERE classid = ''pg_class''::regclass AND refclassid = ''pg_class''::regclass AND deptype IN (''a'', ''i''))
    SELECT format(''SCHEMA %I'', nspname) FROM pg_namespace JOIN here USING (oid, nspname) JOIN old ON old.oid = nspowner
    UNION ALL
    SELECT format(''TABLE %I.%I'', nspname, relname) FROM pg_class c JOIN here ON here.oid = relnamespace JOIN old ON old.oid = relowner
      WHERE relkind IN (''r'', ''p'', ''v'', ''m'', ''f'', ''S'')
      AND NOT EXISTS (SELECT FROM apart WHERE classid = ''pg_class''::regclass AND objid = c.oid)
    UNION ALL
    SELECT format(''TYPE %I.%I'', nspname, typname) FROM pg_type t JOIN here ON here.oid = typnamespace JOIN old ON old.oid = typowner
      WHERE (typtype IN (''e'', ''d'', ''r'') OR (SELECT relkind FROM pg_class WHERE oid = typrelid) = ''c'')
      AND NOT EXISTS (SELECT FROM apart WHERE classid = ''pg_type''::regclass AND objid = t.oid)
    UNION ALL
    SELECT format(''ROUTINE %s'', p.oid::regprocedure) FROM pg_proc p JOIN here ON here.oid = pronamespace JOIN old ON old.oid = proowner
      WHERE NOT EXISTS (SELECT FROM apart WHERE classid = ''pg_proc''::regclass AND objid = p.oid)
  LOOP
    EXECUTE ''ALTER '' || change || '' OWNER TO $GPUBOX_OWNER'';
  END LOOP;
END';

EOF

# The file is the truth for the password, so that changing the secret and the container is all a rotation needs. The same holds for
# rights: whatever was granted meanwhile, the owner has none that reach beyond its database, and no other role comes into it.
quoted=$(printf '%s' "$password" | sed "s/'/''/g")
single_user "$data" <<EOF
ALTER ROLE $GPUBOX_OWNER LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '$quoted';

REVOKE pg_execute_server_program, pg_read_server_files, pg_write_server_files, pg_create_subscription FROM $GPUBOX_OWNER;

REVOKE CONNECT, TEMPORARY ON DATABASE $GPUBOX_OWNER, postgres, template1 FROM PUBLIC;

EOF

exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c shared_buffers=128MB -c max_connections=100 -c log_statement=none
