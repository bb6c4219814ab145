#!/bin/sh
# Starts an engine when it is its turn, and again when it hangs. Engines size themselves from the memory that is free, so those
# that share a GPU load one after another: each holds a lock for each of its devices until it answers, or until it ends.
#
#   sh device-lock.sh ENGINE ARGUMENT...
#
# GPUBOX_LOCKS           files in /run/gpubox/locks, one a device, in the order in which everybody takes them; empty for
#                        one that only watches its devices and loads nothing by itself
# GPUBOX_READY_SECONDS   an engine that does not answer by then is stopped, so that another one has its turn
# GPUBOX_PROBE, GPUBOX_GPUS   see device.sh
# GPUBOX_HANG_…          see hang.sh
# GPUBOX_MEMORY_FLOOR    see memory.sh
#
# POSIX sh. The kernel frees a lock with the last process that has it open, so nothing stays locked after a crash.
set -u
. "${0%/*}/device.sh"
[ -z "${GPUBOX_HANG_SECONDS:-}" ] || . "${0%/*}/hang.sh"
[ -z "${GPUBOX_MEMORY_FLOOR:-}" ] || . "${0%/*}/memory.sh"

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
    # A failure of exec itself would end the shell without a word of ours.
    [ -r "$LOCKS/$name" ] || {
      say "cannot open $LOCKS/$name" >&2
      exit 1
    }
    exec 9<"$LOCKS/$name"
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

# Runs beside the engine: frees the devices once it answers, and watches that they stay and that it does not hang. Tells the
# main shell by USR1 when it gives the engine up.
guard() {
  started=$(date +%s)
  until engine_ready; do
    [ $(($(date +%s) - started)) -lt "$GPUBOX_READY_SECONDS" ] ||
      give_up "the engine did not answer within $GPUBOX_READY_SECONDS s"
    sleep 1
  done
  [ -z "$holders" ] || kill -KILL $holders
  say "the engine answers after $(($(date +%s) - started)) s"
  pause=$WATCH_SECONDS
  if [ -n "${GPUBOX_HANG_SECONDS:-}" ]; then
    # Often enough that the declared time is kept.
    pause=$((GPUBOX_HANG_SECONDS / 4))
    [ "$pause" -ge 1 ] || pause=1
    [ "$pause" -le 10 ] || pause=10
    begin_watch
    # One that hung is proven, as its health check says nothing of tokens.
    [ -z "$again" ] || token || hung "no token after it was started again"
  fi
  failures=0 next=$(date +%s)
  while sleep "$pause"; do
    [ -z "${GPUBOX_HANG_SECONDS:-}" ] || watch_hang
    [ "$(date +%s)" -ge "$next" ] || continue
    next=$(($(date +%s) + WATCH_SECONDS))
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

# Nothing of it moves that could still end well, so it gets no time to.
hung() {
  say "the engine hangs: $1; it is killed and started again" >&2
  echo "$(date +%s) hung: $1" >>"$HEALED"
  kill -USR1 "$main"
  kill -KILL "$engine" 2>/dev/null
  exit 1
}

# One life of the engine; sets `code`, and `given_up` where it was ended for its guard.
run() {
  holders= given_up=
  trap 'exit 143' TERM INT
  [ -z "$GPUBOX_LOCKS" ] || say "waits for its turn on $GPUBOX_LOCKS"
  take_locks
  say "starts the engine"
  "$@" &
  engine=$!
  trap 'ending=1; kill -TERM "$engine" 2>/dev/null' TERM INT
  trap 'given_up=1; kill -TERM "$engine" 2>/dev/null' USR1
  guard &
  guard=$! watcher=
  [ -z "${GPUBOX_MEMORY_FLOOR:-}" ] || {
    watch_memory &
    watcher=$!
  }
  # A trap interrupts wait: it goes on until the engine itself is gone.
  while :; do
    wait "$engine"
    code=$?
    kill -0 "$engine" 2>/dev/null || break
  done
  kill -KILL "$guard" $watcher $holders 2>/dev/null
}

# True when the engine hung in this life, or was ended for the host's memory, and may be started again here. A seat starts its engine itself.
may_run_again() {
  [ -n "${GPUBOX_HANG_SECONDS:-}" ] && [ -n "$given_up" ] && [ -z "$ending" ] && [ -z "${GPUBOX_SEAT_PORT:-}" ] || return 1
  [ "$(times_ended)" -gt "$before" ]
}

# What an engine leaves behind still has its memory: workers, and what watched it.
sweep() {
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    [ "$pid" = 1 ] || [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
  done
  wait
}

leave_down() {
  what="hung"
  [ ! -e /tmp/gpubox-starved ] || {
    what="was ended for the host's memory"
    echo "it is left down" >>/tmp/gpubox-starved
  }
  say "the engine $what $HUNG_TIMES times within $((HUNG_WITHIN_SECONDS / 60)) minutes and is left down; docker restart starts it again" >&2
  [ -z "${GPUBOX_SEAT_PORT:-}" ] || exit 1
  : >"$LEFT_DOWN"
  trap 'exit 143' TERM INT
  while :; do
    sleep 2147483647 &
    wait $!
  done
}

main=$$
again= ending= before=0
trap 'exit 143' TERM INT
gpus_reachable || {
  say "a GPU that this container was given cannot be reached; remove the container and run gpubox up" >&2
  exit 1
}
while :; do
  if [ -n "${GPUBOX_HANG_SECONDS:-}" ]; then
    before=$(times_ended)
    [ "$before" -lt "$HUNG_TIMES" ] || leave_down
    [ "$before" = 0 ] || again=1
  fi
  [ -z "${GPUBOX_MEMORY_FLOOR:-}" ] || wait_for_room
  run "$@"
  may_run_again || break
  sweep
done
[ -z "$given_up" ] || exit 1
exit "$code"
