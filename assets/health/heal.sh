# What a health check does about a program that hangs. Sourced; POSIX sh, because it runs in every image.
#
# Docker starts again what ends. What goes on without answering it calls unhealthy and leaves alone, so the check itself sees to
# it: processes that a signal stopped go on, and a program that hangs otherwise is ended, for Docker to start it again.
#
# GPUBOX_ONLY_ASKS: set by whoever runs the check to know more and to change nothing.

# Since when checks fail, in seconds since 1970, and what had been computed by then.
FAILING=/tmp/gpubox-failing
# There once a check was passed: before that a program starts, and is left alone.
ANSWERED=/tmp/gpubox-answered
# What was done: seconds since 1970, and words. Checks print its end, which `gpubox doctor` reads.
HEALED=/tmp/gpubox-healed
# Two of Docker's looks are ten seconds apart. One late answer is none too many, and a program on a busy machine is late twice.
RESUMED_AFTER_SECONDS=8
ENDED_AFTER_SECONDS=25

# For a check that was passed.
answers() {
  [ ! -e "$FAILING" ] || rm -f "$FAILING"
  [ -e "$ANSWERED" ] || : >"$ANSWERED"
  [ ! -e "$HEALED" ] || tail -n 20 "$HEALED"
}

# For a check that was not passed, and what may be done about a program that no signal stopped:
#   resume        nothing more, where a busy disk makes it slow too,
#   end           it is ended,
#   end-idle      it is ended if it did not compute meanwhile, because on a busy machine one that computes is late,
#   end-soon      it is ended at the second look: it gave an answer that it never gives, which no busy machine explains,
#   stop-soon     it is asked to end at the second look.
fails() {
  [ -z "${GPUBOX_ONLY_ASKS:-}" ] || return 0
  now=$(date +%s)
  if ! read -r since computed 2>/dev/null <"$FAILING"; then
    echo "$now $(ticks)" >"$FAILING"
    return 0
  fi
  [ $((now - since)) -ge "$RESUMED_AFTER_SECONDS" ] || return 0
  if resumed; then
    rm -f "$FAILING"
    return 0
  fi
  case $1 in
    *-soon) patience=$RESUMED_AFTER_SECONDS ;;
    end*) patience=$ENDED_AFTER_SECONDS ;;
    *) return 0 ;;
  esac
  [ -e "$ANSWERED" ] && [ $((now - since)) -ge "$patience" ] || return 0
  # A hundredth of a core's time.
  [ "$1" != end-idle ] || [ $(($(ticks) - computed)) -le $((now - since)) ] || return 0
  rm -f "$FAILING"
  tell "it has not answered as it should for $((now - since)) s; it is ended, and Docker starts it again"
  if [ "$1" = stop-soon ]; then
    kill -INT 1
    return 0
  fi
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    # The first one ends by itself then. Nobody in its container can kill it.
    [ "$pid" = 1 ] || [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
  done
}

# Lets processes go on that a signal stopped; false where there is none.
resumed() {
  found=
  for process in /proc/[0-9]*; do
    read -r line 2>/dev/null <"$process/stat" || continue
    case ${line##*) } in
      T*)
        kill -CONT "${process#/proc/}" 2>/dev/null && found=1
        ;;
    esac
  done
  [ -n "$found" ] || return 1
  echo "$(date +%s) resumed: a signal had stopped it" >>"$HEALED"
  tell "a signal had stopped it; it goes on"
}

# Hundredths of a second that the container's processes have computed, without this one.
ticks() {
  sum=0
  for process in /proc/[0-9]*; do
    [ "${process#/proc/}" != $$ ] && read -r line 2>/dev/null <"$process/stat" || continue
    set -- ${line##*) }
    sum=$((sum + ${12:-0} + ${13:-0}))
  done
  echo "$sum"
}

# To the container's log.
tell() {
  echo "gpubox: $1" 2>/dev/null >/proc/1/fd/2 || echo "gpubox: $1"
}
