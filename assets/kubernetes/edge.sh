# Starts the edge on a cluster. Nothing is switched here: the Service of the gateways leads to those that are ready.
#
# DRAIN_NOTICE_SECONDS: from the stop signal on, for as long, new connections may still come.
set -uo pipefail

# HAProxy does not start without these maps; see assets/edge/upstream.sh.
echo "generation master" >/tmp/knows.map
: >/tmp/moved.map
: >/tmp/expiry.map

term() {
  sleep "$DRAIN_NOTICE_SECONDS"
  # Takes no new connection, and ends with the last request.
  kill -USR1 "$pid"
}

# A cluster sends what the image says, and HAProxy's images say SIGUSR1. The first process of a container ignores what it does not trap.
trap term TERM USR1
haproxy -W -db -S /tmp/master.sock,mode,600 -f /etc/gpubox/haproxy.cfg -f /etc/gpubox/upstream.cfg &
pid=$!
# The trap interrupts wait; go on waiting until HAProxy itself is gone, and pass its exit status on.
while :; do
  wait "$pid"
  rc=$?
  kill -0 "$pid" 2>/dev/null || exit "$rc"
done
