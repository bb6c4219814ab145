# Backs a cluster's Postgres up into /backups, and keeps the newest ones. POSIX sh.
#
#   sh backup.sh KEEP WHY
#
# A dump is there whole or not at all. Nothing is backed up of a database that nobody has filled yet.
set -eu
umask 077

keep=$1
why=$2
PATH="$(dirname "$(command -v pg_dump || ls /usr/lib/postgresql/*/bin/pg_dump)"):$PATH"
. "${0%/*}/login.sh"
log_in_with </etc/gpubox/password
export PGHOST=database PGUSER=litellm PGDATABASE=litellm PGCONNECT_TIMEOUT=10

# Postgres may start together with this.
tries=0
until pg_isready -q; do
  tries=$((tries + 1))
  [ "$tries" -lt 120 ] || {
    echo "Postgres does not answer, so nothing is backed up" >&2
    exit 1
  }
  sleep 2
done

if [ "$(psql -Atqc "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")" = 0 ]; then
  echo "the database is empty: nothing to back up"
  exit 0
fi

name="/backups/$(date -u +%Y%m%dT%H%M%SZ)-$why.dump"
rm -f /backups/*.part
pg_dump --format=custom --no-owner --file="$name.part"
# Names a table of contents, or the dump is none.
pg_restore --list "$name.part" >/dev/null
mv "$name.part" "$name"
echo "backed up as $name"

# Their names begin with their times.
ls -1 /backups/*.dump | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
  rm -f "$old"
  echo "removed $old"
done
