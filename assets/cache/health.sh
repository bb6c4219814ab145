#!/bin/sh
# Health check of Redis. Nothing that it holds is missed for long, so one that answers anything else for long is ended too.
. "${0%/*}/heal.sh"

if [ "$(REDISCLI_AUTH="$(cat /etc/gpubox/password)" timeout 5 redis-cli ping)" = PONG ]; then
  answers
  exit
fi
fails end
exit 1
