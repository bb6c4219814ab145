# Whether the host's memory runs out, where the GPU has no other (GB10, Strix Halo): there a load that takes too much freezes the
# whole host before the kernel kills anything. Sourced by device-lock.sh after hang.sh; POSIX sh.
#
# GPUBOX_MEMORY_FLOOR    MiB of the host's memory; below that its newest load is ended
# GPUBOX_MEMINFO         for tests, in place of /proc/meminfo

# There while the engine waits for room; says why.
STARVED=/tmp/gpubox-starved

available_mib() {
  while read -r key value _; do
    [ "$key" != MemAvailable: ] || {
      echo $((value / 1024))
      return
    }
  done <"${GPUBOX_MEMINFO:-/proc/meminfo}"
}

# The younger an engine, the sooner it goes: all of the floor when it starts, three quarters after ten minutes, half in the end. So
# engines that know nothing of each other end in the right order.
floor_at_age() {
  echo $((GPUBOX_MEMORY_FLOOR * (50 + 30000 / (600 + $1)) / 100))
}

# Runs beside the engine in this life of it. A load takes gigabytes a second.
watch_memory() {
  born=$(date +%s)
  while sleep 1; do
    left=$(available_mib)
    [ -z "$left" ] || [ "$left" -ge "$(floor_at_age $(($(date +%s) - born)))" ] || starved "$left"
  done
}

starved() {
  echo "the host had $1 MiB of memory left, and this was its newest load" >"$STARVED"
  say "$(cat "$STARVED"); it is ended" >&2
  echo "$(date +%s) starved: the host had $1 MiB of memory left" >>"$HEALED"
  kill -USR1 "$main"
  kill -KILL "$engine" 2>/dev/null
  exit 1
}

# Before the engine is started again. Twice the floor, because it needs some itself.
wait_for_room() {
  [ -e "$STARVED" ] || return 0
  trap 'exit 143' TERM INT
  say "waits until the host has $((2 * GPUBOX_MEMORY_FLOOR)) MiB of memory"
  until left=$(available_mib) && [ "${left:-0}" -ge $((2 * GPUBOX_MEMORY_FLOOR)) ]; do
    # In the background, because a shell runs its traps between commands only.
    sleep 2 &
    wait $!
  done
  rm -f "$STARVED"
}
