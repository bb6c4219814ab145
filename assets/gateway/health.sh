#!/bin/sh
# Health check of a gateway. One that drains says 503, and then refuses. Any other answer is none of LiteLLM's.
. "${0%/*}/heal.sh"

# Without `urllib`, which takes a tenth of a second of CPU to load, at every look.
python3 -I -S -c '
import socket
import sys

try:
    with socket.create_connection(("127.0.0.1", 4000), timeout=8) as gateway:
        gateway.sendall(b"GET /health/liveliness HTTP/1.0\r\nHost: localhost\r\n\r\n")
        status = gateway.recv(16)
        sys.exit(0 if b" 200 " in status else 1 if b" 503 " in status else 3)
except TimeoutError:
    sys.exit(2)
except OSError:
    sys.exit(1)
'
case $? in
  0)
    answers
    exit
    ;;
  2) fails end-idle ;;
  3) fails end-soon ;;
esac
exit 1
