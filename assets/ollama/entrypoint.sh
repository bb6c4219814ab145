#!/bin/bash
# Ollama answers before it has a model and unloads what is idle. This loads the model at the start and again whenever it is
# gone, so that what the valve and Docker ask (/api/ps) says whether it can answer.
#
# usage: entrypoint.sh MODEL [TEXT]
# TEXT: what a model that embeds is loaded by, as it takes no empty prompt.
set -u
model=$1 text=${2:-}
ollama serve &
server=$!
trap 'kill -TERM "$server"' TERM INT

until ollama list >/dev/null 2>&1; do
  kill -0 "$server" 2>/dev/null || exit 1
  sleep 0.5
done
(
  while kill -0 "$server" 2>/dev/null; do
    # Without a prompt it loads a model and answers nothing.
    ollama ps | grep -qF "$model" || ollama run "$model" "$text" >/dev/null
    sleep 5
  done
) &

# The trap interrupts wait; go on waiting until the server itself is gone, and pass its exit status on.
while :; do
  wait "$server"
  rc=$?
  kill -0 "$server" 2>/dev/null || exit "$rc"
done
