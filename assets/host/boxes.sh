#!/bin/sh
# Written by `gpubox host prepare` of gpubox, for the unit gpubox-boxes. Word: "stop" or "start".
#
# stop    at shutdown, before Docker goes: ends the boxes of this host from the outside in, each container by its own signal
# start   from the boot on, after Docker: sees that everything that Docker should have started runs, as soon as it can. Docker itself
#         tries once: an address that comes late, or a GPU that was away when its container ended, would leave it down for good
set -u
PATH=/usr/sbin:/sbin:/usr/bin:/bin

# Seconds at most, for containers that would take longer by themselves. Their sum stays below the unit's TimeoutStopSec.
DRAIN=60
GATEWAYS=30
VALVES=10
SERVERS=60
DATA=120
# Seconds between two tries to start what did not start, in the first two minutes and later, and between two looks.
OFTEN=2
SELDOM=15

# Id, restart policy, seconds of grace, and role of the boxes' containers.
containers() {
  ids=$(docker ps --quiet --no-trunc --filter label=gpubox.stack "$@")
  [ -z "$ids" ] || docker inspect --format \
    '{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{if .Config.StopTimeout}}{{.Config.StopTimeout}}{{else}}10{{end}} {{index .Config.Labels "gpubox.role"}}' $ids
}

# Stops the containers whose role matches. Words: seconds at most, seconds at least, pattern.
phase() {
  most=$1 least=$2
  while read -r id _ grace role; do
    case $(kind "$role") in "$3") ;; *) continue ;; esac
    [ "$grace" -ge "$least" ] || grace=$least
    [ "$grace" -le "$most" ] || grace=$most
    docker stop -t "$grace" "$id" >/dev/null &
  done <<END
$stopped
END
  wait
}

kind() {
  case $1 in
    edge | job-*-edge) echo edge ;;
    gateway | job-*) echo gateway ;;
    valve-*) echo valve ;;
    database | cache) echo data ;;
    *) echo server ;;
  esac
}

stop() {
  running=$(containers | grep ' unless-stopped ')
  [ -n "$running" ] || return 0
  # A stopped container with this policy comes back with Docker. One that does not take it is left as it is, to come back too.
  marked=$(echo "$running" | cut -d ' ' -f 1 | xargs docker update --restart always)
  [ -n "$marked" ] || return 1
  stopped=$(echo "$running" | grep -F "$marked")
  phase $DRAIN $DRAIN edge
  phase $GATEWAYS 0 gateway
  phase $VALVES 0 valve
  phase $SERVERS 0 server
  phase $DATA 0 data
}

# Those that Docker tried to start in vain. What a person stopped has no error, and what has another policy ends for good.
failed() {
  ids=$(docker ps --quiet --no-trunc --filter label=gpubox.stack --filter status=exited --filter status=created)
  [ -z "$ids" ] || docker inspect --format \
    '{{if and .State.Error (eq .HostConfig.RestartPolicy.Name "unless-stopped")}}{{.Id}}{{end}}' $ids | grep .
}

start() {
  marked=$(containers --all | grep ' always ' | cut -d ' ' -f 1)
  if [ -n "$marked" ]; then
    docker start $marked >/dev/null
    docker update --restart unless-stopped $marked >/dev/null
  fi
  tries=0
  while :; do
    ids=$(failed)
    for id in $ids; do
      if said=$(docker start "$id" 2>&1); then echo "started $(docker inspect --format '{{.Name}}' "$id")"
      elif [ $tries = 0 ]; then echo "$said" >&2; fi
    done
    if [ -n "$ids" ]; then tries=$((tries + 1)); else tries=0; fi
    if [ $tries -gt 0 ] && [ $((tries * OFTEN)) -lt 120 ]; then sleep $OFTEN; else sleep $SELDOM; fi
  done
}

case "${1:-}" in
  stop)
    # Else it would start again what stops.
    [ -z "${MAINPID:-}" ] || kill "$MAINPID"
    stop
    ;;
  start) start ;;
  *)
    echo "Word: stop or start" >&2
    exit 2
    ;;
esac
