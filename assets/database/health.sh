#!/bin/sh
# Health check of Postgres, over TCP and with the password, because the socket answers before the database is ready. A busy disk
# makes it slow too, so it is never ended: only processes that a signal stopped go on.
. "${0%/*}/heal.sh"

PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
export PGPASSWORD
PGPASSWORD=$(cat /etc/gpubox/password)
timeout 5 psql -h 127.0.0.1 -U "$GPUBOX_OWNER" -d "$GPUBOX_OWNER" -qtc "select 1"
code=$?
if [ "$code" = 0 ]; then
  answers
  exit
fi
[ "$code" != 124 ] || silent
exit 1
