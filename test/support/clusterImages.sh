#!/bin/bash
# Gives nodes of a cluster images of this machine's engine. They are unpacked once for all test runs; a node gets links to the files, and
# its own copy of the tables that say which there are. Arguments: where they are kept, a name for exactly these images, the folders of
# two nodes, the images; the first of them has bash.
set -eu
kept=$1 key=$2 one=$3 other=$4
shift 4

# As many sets of images stay as suites want, with one to spare.
KEPT=4

# A pod's first process: it waits, and takes in what loses its parent.
PAUSE='trap exit TERM; while :; do sleep 3600 & wait $!; done'

unpack() {
  local state own
  state=$(mktemp -d) own=gpubox-test/pause:1
  rm -rf "$kept/new"
  mkdir -p "$kept/new"
  # Those of older versions are no more use.
  ls -dt "$kept"/*/ | tail -n "+$((KEPT + 1))" | xargs --no-run-if-empty rm -rf
  printf 'FROM %s\nUSER 65535\nENTRYPOINT ["bash", "-c", "%s"]\n' "$1" "$PAUSE" | docker build --quiet --tag "$own" - >/dev/null
  printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$state/config.toml"
  containerd --config "$state/config.toml" --root "$kept/new" --state "$state/run" --address "$state/socket" \
    >"$state/log" 2>&1 </dev/null &
  local server=$!
  trap 'kill $server; rm -rf $state' EXIT
  until [ -S "$state/socket" ]; do sleep 0.2; done
  docker save "$own" "$@" | ctr --address "$state/socket" --namespace k8s.io images import -
  docker image rm "$own" >/dev/null
  trap - EXIT
  kill $server
  wait $server || true
  rm -rf "$state"
  mv "$kept/new" "$kept/$key"
}

[ -d "$kept/$key" ] || unpack "$@"
for node in "$one" "$other"; do
  mkdir -p "$node"
  cp -al "$kept/$key/." "$node"
  find "$node" -name '*.db' | while read -r table; do cp "$table" "$table.own" && mv "$table.own" "$table"; done
done
