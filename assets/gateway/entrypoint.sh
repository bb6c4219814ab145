#!/bin/sh
# PID 1 of a gateway: takes the secrets from the env file (never from `docker run`), and on SIGTERM announces the drain to
# the edge's health check, waits until the edge has noticed, and only then stops LiteLLM. A plain SIGTERM loses requests
# that were accepted but not parsed yet.
set -a
. /etc/gpubox/gateway.env
set +a
[ -z "${DATABASE_URL:-}" ] || . /etc/gpubox/database.sh

# Asked by the proof after a start that failed.
[ "${1:-}" != --validate_config ] || exec litellm --config /etc/gpubox/config.yaml --validate_config

term() {
  # In the background: the answer is not needed, only the 503 that the health routes give from now on.
  python3 - <<'PY' &
import os
import urllib.request

request = urllib.request.Request(
    "http://127.0.0.1:4000/health/drain",
    headers={"X-Drain-Token": os.environ["DRAIN_ENDPOINT_TOKEN"]},
)
try:
    urllib.request.urlopen(request, timeout=float(os.environ["GRACEFUL_SHUTDOWN_TIMEOUT"]))
except Exception as error:
    print("drain:", error)
PY
  # The step that waited for the drain has seen that the edge sends nothing here any more.
  [ -e /tmp/drained ] || sleep "$DRAIN_NOTICE_SECONDS"
  kill -TERM "$pid"
}

trap term TERM
# One worker: the drain flag is per process.
PYTHONPATH="${PYTHONPATH:-/etc/gpubox}" litellm --config /etc/gpubox/config.yaml --host 0.0.0.0 --port 4000 --num_workers 1 &
pid=$!
# The trap interrupts wait; go on waiting until the server itself is gone, and pass its exit status on.
while :; do
  wait "$pid"
  rc=$?
  kill -0 "$pid" 2>/dev/null || exit "$rc"
done
