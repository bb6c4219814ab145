#!/bin/sh
# Starts an engine when it is its turn. Engines size themselves from the memory that is free, so those that share a GPU load
# one after another: each holds a lock for each of its devices until it answers, or until it ends.
#
#   sh device-lock.sh ENGINE ARGUMENT...
#
# GPUBOX_LOCKS           files in /run/gpubox/locks, one a device, in the order in which everybody takes them; empty for
#                        one that only watches its devices and loads nothing by itself
# GPUBOX_READY_SECONDS   an engine that does not answer by then is stopped, so that another one has its turn
# GPUBOX_PROBE, GPUBOX_GPUS   see device.sh
#
# POSIX sh. The kernel frees a lock with the last process that has it open, so nothing stays locked after a crash.
set -u
. "${0%/*}/device.sh"

LOCKS=/run/gpubox/locks
# Seconds between two looks at the devices, and looks in a row that have to fail: nvidia-smi is slow on a busy host.
WATCH_SECONDS=${GPUBOX_WATCH_SECONDS:-20}
WATCH_FAILURES=3
# Seconds that an engine gets to end by itself after it is given up.
END_SECONDS=10

say() {
  echo "gpubox: $*"
}

# Waits for an exclusive lock on the open file 9. It belongs to the open file, not to the program that asks for it.
# flock is part of util-linux (essential in Debian and Ubuntu, which the engines' images are made from) and of busybox.
lock() {
  if command -v flock >/dev/null; then
    flock -x 9
  else
    python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  fi
}

# A sleeping process keeps each lock: a POSIX shell has descriptors for seven files only, and a box can have eight GPUs. It
# ends by KILL alone, because a TERM to the whole process group must not free the device before the engine is gone.
take_locks() {
  for name in $GPUBOX_LOCKS; do
    exec 9<"$LOCKS/$name" || exit 1
    # In the background, because a shell runs its traps between commands only.
    lock &
    wait $! || {
      say "cannot lock $LOCKS/$name"
      exit 1
    }
    (
      trap '' TERM
      exec sleep 2147483647
    ) &
    holders="$holders $!"
    exec 9<&-
  done
}

# Runs beside the engine: frees the devices once it answers, and watches that they stay. Tells the main shell by USR1 when
# it gives the engine up.
guard() {
  started=$(date +%s)
  until engine_ready; do
    [ $(($(date +%s) - started)) -lt "$GPUBOX_READY_SECONDS" ] ||
      give_up "the engine did not answer within $GPUBOX_READY_SECONDS s"
    sleep 1
  done
  [ -z "$holders" ] || kill -KILL $holders
  say "the engine answers after $(($(date +%s) - started)) s"
  failures=0
  while sleep "$WATCH_SECONDS"; do
    if gpus_reachable; then
      failures=0
    else
      failures=$((failures + 1))
      [ "$failures" -lt "$WATCH_FAILURES" ] || give_up "a GPU of this container cannot be reached any more"
    fi
  done
}

give_up() {
  say "$1; it is stopped, and Docker starts it again" >&2
  kill -USR1 "$main"
  sleep "$END_SECONDS"
  kill -KILL "$engine" 2>/dev/null
  exit 1
}

main=$$
holders=
given_up=
trap 'exit 143' TERM INT
gpus_reachable || {
  say "a GPU that this container was given cannot be reached; remove the container and run gpubox up" >&2
  exit 1
}
[ -z "$GPUBOX_LOCKS" ] || say "waits for its turn on $GPUBOX_LOCKS"
take_locks
say "starts the engine"
"$@" &
engine=$!
trap 'kill -TERM "$engine" 2>/dev/null' TERM INT
trap 'given_up=1; kill -TERM "$engine" 2>/dev/null' USR1
guard &
guard=$!
# A trap interrupts wait: it goes on until the engine itself is gone.
while :; do
  wait "$engine"
  code=$?
  kill -0 "$engine" 2>/dev/null || break
done
kill -KILL "$guard" $holders 2>/dev/null
[ -z "$given_up" ] || exit 1
exit "$code"
