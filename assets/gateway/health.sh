#!/bin/sh
# Health check of a gateway. A bad answer is an answer: one that drains says 503, and then refuses.
. "${0%/*}/heal.sh"

python3 -c '
import sys
import urllib.request

try:
    urllib.request.urlopen("http://127.0.0.1:4000/health/liveliness", timeout=8)
except OSError as error:
    sys.exit(2 if isinstance(getattr(error, "reason", error), TimeoutError) else 1)
'
code=$?
if [ "$code" = 0 ]; then
  answers
  exit
fi
[ "$code" != 2 ] || silent end idle
exit 1
