#!/bin/sh
# Health check of Redis. Nothing that it holds is missed for long, so one that hangs is ended.
. "${0%/*}/heal.sh"

said=$(REDISCLI_AUTH="$(cat /etc/gpubox/password)" timeout 5 redis-cli ping)
code=$?
if [ "$said" = PONG ]; then
  answers
  exit
fi
[ "$code" != 124 ] || silent end
exit 1
