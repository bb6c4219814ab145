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
  PG_GRANDPARENT_PID=1 postgres --single -j -D "$1" postgres >/dev/null
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
# The file is the truth for the password, so that changing the secret and the container is all a rotation needs.
quoted=$(printf '%s' "$password" | sed "s/'/''/g")
single_user "$data" <<EOF
DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''postgres'') THEN CREATE ROLE postgres SUPERUSER LOGIN; END IF; END';

ALTER ROLE $GPUBOX_OWNER PASSWORD '$quoted';

EOF

exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c shared_buffers=128MB -c max_connections=100 -c log_statement=none
