# Whether an engine hangs: it answers its health check, and gives no token any more. Sourced by device-lock.sh; POSIX sh.
#
# GPUBOX_HANG_SECONDS    for so long requests may wait without any sign that the engine works; then it has as long again to give
#                        one token. Empty: nobody watches.
# GPUBOX_HANG_PORT       its port: an open connection is a request
# GPUBOX_HANG_METRICS    path of its metrics
# GPUBOX_HANG_SIGNS      names of those that change while it works and only then, with a | between
# GPUBOX_HANG_PATH, GPUBOX_HANG_BODY   the request for one token
#
# Nothing is asked while nobody waits, and no token while the metrics change: a long prompt is slow and does not hang.

# As in heal.sh. Lost with the container's end, so that a person's restart counts from none again.
HEALED=/tmp/gpubox-healed
# There while the engine is left down.
LEFT_DOWN=/tmp/gpubox-left-down
# An engine that hangs so often within so many seconds is left down: whatever is wrong, a restart does not heal it.
HUNG_TIMES=3
HUNG_WITHIN_SECONDS=3600

# A health check of a moment ago may still be open; a second look does not meet the same one.
waits() {
  port=$(printf ':%04X' "$GPUBOX_HANG_PORT")
  for _ in 1 2; do
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*$port [0-9A-F:]* 01 " || return 1
    sleep 0.2
  done
}

# How far the engine is; empty where it does not say.
progress() {
  timeout 5 bash "${0%/*}/ask.sh" "$GPUBOX_HANG_PORT" "$GPUBOX_HANG_METRICS" 2>/dev/null |
    grep -E "^($GPUBOX_HANG_SIGNS)[{ ]" | cksum | grep -v '^4294967295 0$'
}

# False where none came. Another answer than a token proves that it does not hang, but not that it is well.
token() {
  timeout "$GPUBOX_HANG_SECONDS" bash "${0%/*}/ask.sh" "$GPUBOX_HANG_PORT" "$GPUBOX_HANG_PATH" "$GPUBOX_HANG_BODY" >/dev/null 2>&1
  [ $? -le 1 ]
}

# Before the first look.
begin_watch() {
  answered=$(date +%s) moved=$answered
  seen=$(progress)
}

# One look. What it finds it says by `hung REASON`.
watch_hang() {
  now=$(date +%s)
  if engine_ready; then
    answered=$now
  else
    [ $((now - answered)) -lt "$GPUBOX_HANG_SECONDS" ] || hung "no answer to its health check for $((now - answered)) s"
    return 0
  fi
  if ! waits; then
    moved=$now
    return 0
  fi
  if moves || [ -z "$seen" ]; then
    moved=$now
    return 0
  fi
  [ $((now - moved)) -ge "$GPUBOX_HANG_SECONDS" ] || return 0
  say "requests wait, and no token has moved for $((now - moved)) s; asks for one"
  if token || moves; then
    moved=$(date +%s)
    return 0
  fi
  hung "no token for $(($(date +%s) - moved)) s, while requests waited"
}

moves() {
  at=$(progress)
  [ -n "$at" ] && [ "$at" != "$seen" ] && seen=$at
}

# How often it hung lately, or was ended for the host's memory.
times_ended() {
  after=$(($(date +%s) - HUNG_WITHIN_SECONDS)) count=0
  while read -r at what _; do
    case $what in hung: | starved:) [ "$at" -lt "$after" ] || count=$((count + 1)) ;; esac
  done 2>/dev/null <"$HEALED"
  echo "$count"
}
