#!/bin/sh
# Postgres with its data guarded: refuses another major, an empty volume where a database was, and another salt key.
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
  PG_GRANDPARENT_PID=1 postgres --single -j -D "$data" "$1" >/dev/null
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
  printf '%s\n' "$password" > /tmp/password
  initdb -D "$data.new" -U litellm --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
    --auth-local=scram-sha-256 --auth-host=scram-sha-256 >/dev/null
  rm -f /tmp/password
  printf '%s\n' 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
  mv "$data.new" "$data"
  echo 'CREATE DATABASE litellm;' | single_user postgres
fi

[ -s "$salt_file" ] || printf '%s' "$salt" > "$salt_file"
[ -e "$marker" ] || date -u +%FT%TZ > "$marker"
# The file is the truth for the password, so that changing the secret and the container is all a rotation needs.
quoted=$(printf '%s' "$password" | sed "s/'/''/g")
printf "ALTER ROLE litellm PASSWORD '%s';\n" "$quoted" | single_user postgres

exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c shared_buffers=128MB -c max_connections=100 -c log_statement=none
