#!/bin/sh
# Health check of Postgres, over TCP and with the password, because the socket answers before the database is ready. A busy disk
# makes it slow too, so it is never ended for that: only processes that a signal stopped go on. One whose owner was changed behind the
# box's back is asked to end: at each start the owner gets its password and its rights again.
. "${0%/*}/heal.sh"
. "${0%/*}/login.sh"

PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
log_in_with </etc/gpubox/password
said=$(timeout 5 psql -h 127.0.0.1 -U "$GPUBOX_OWNER" -d "$GPUBOX_OWNER" -qtc "select 1" 2>&1)
code=$?
if [ "$code" = 0 ]; then
  answers
  exit
fi
echo "$said"
[ "$code" != 124 ] || fails resume
case $said in
  *"password authentication failed"* | *"is not permitted to log in"*) fails stop-soon ;;
esac
exit 1
