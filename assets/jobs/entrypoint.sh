#!/bin/sh
# Starts LiteLLM for one job: entrypoint.sh DIRECTORY. It reads its secrets from a file and not from the container's
# environment, which `docker inspect` shows. SIGTERM closes the door at once; what is being answered is finished and logged.
set -a
. "$1/litellm.env"
set +a

trap 'kill -TERM "$pid"' TERM INT
# One worker: a second one would write a log of its own. The port is the container's, so that nobody else can have taken it.
PYTHONPATH="${PYTHONPATH:-$1}" litellm --config "$LITELLM_CONFIG" --host 0.0.0.0 --port 4000 --num_workers 1 &
pid=$!
# The trap interrupts wait; go on waiting until the server itself is gone, and pass its exit status on.
while :; do
  wait "$pid"
  rc=$?
  kill -0 "$pid" 2>/dev/null || exit "$rc"
done
