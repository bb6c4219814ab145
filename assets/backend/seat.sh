#!/bin/sh
# Keeps the container of a model that is loaded on demand while its engine comes and goes. The scheduler of its group
# (assets/haproxy/group.lua) says when.
#
#   sh seat.sh ENGINE ARGUMENT...
#
# /run/gpubox/orders is the scheduler's, and read-only here. `order` there is start, sleep, stop or say, and a mark that makes it
# another one. Only engines that have a sleep are told to sleep.
# /run/gpubox/seat is the seat's, and its engine's too, because they are one user. Opening `bell`, a pipe, makes the seat read its
# order: nobody has to write there, so nobody can be blocked. `state` says what became of it, in one line:
#
#   stopped -         no engine runs
#   loading SINCE     it was started at that second
#   ready SECONDS     it answers, and took so long to load
#   dozing -          it falls asleep
#   asleep SECONDS    it keeps little, and took so long to load
#   waking SINCE      it began to wake at that second
#   stopping -
#   failed SINCE      it ended, or did not answer, before it was loaded
#   away -            this container is stopped
#
# and a mark after it, so that no two lines are equal.
#
# GPUBOX_SEAT_PROBE     the engine's own health check as a command of sh
# GPUBOX_SEAT_SECONDS   an engine that does not answer by then, or is not asleep or awake by then, is stopped
# GPUBOX_SEAT_GRACE     seconds that it gets to end
# GPUBOX_SEAT_PORT      its port: one with an open connection is not stopped
# GPUBOX_SEAT_SLEEP     puts the engine to sleep, GPUBOX_SEAT_WAKE wakes it: commands of sh that succeed once it is so
#
# POSIX sh, because it runs in every engine's image. There is no way to Docker in it.
set -u

SEAT=/run/gpubox/seat
ORDERS=/run/gpubox/orders

say() {
  echo "gpubox: $*"
}

# In one step, so that nobody reads half a line.
tell() {
  state=$1 value=${2:--} count=$((count + 1))
  echo "$state $value $born.$count" >"$SEAT/state.new" && mv "$SEAT/state.new" "$SEAT/state"
}

# Beside all else: passes on each order once.
listen() {
  while :; do
    { :; } <"$SEAT/bell" || sleep 1
    read -r order mark <"$ORDERS/order" || continue
    [ "$mark" != "$seen" ] || continue
    seen=$mark
    echo "order $order $mark" >&3
  done 2>/dev/null
}

start() {
  [ "$state" != asleep ] || wake
  [ -z "$engine" ] || return 0
  began=$(date +%s)
  say "starts the engine"
  tell loading "$began"
  (
    child=
    trap 'kill -TERM "$child" 2>/dev/null' TERM
    umask "$mask"
    "$@" 3>&- &
    child=$!
    # A trap interrupts wait: it goes on until the engine itself is gone.
    while :; do
      wait "$child"
      code=$?
      kill -0 "$child" 2>/dev/null || break
    done
    echo "ended $code" >&3
  ) &
  engine=$!
  watch &
}

# Beside the engine: tells when it answers, or that it never did.
watch() {
  until timeout 10 sh -c "$GPUBOX_SEAT_PROBE" >/dev/null 2>&1; do
    [ $(($(date +%s) - began)) -lt "$GPUBOX_SEAT_SECONDS" ] || {
      echo "late" >&3
      return
    }
    sleep 0.3
  done
  echo "ready" >&3
}

# Whoever the scheduler does not see, because it is another one since, has a connection all the same. One look may meet a health
# check, which is gone at the next.
busy() {
  port=$(printf ':%04X' "$GPUBOX_SEAT_PORT")
  for _ in 1 2 3; do
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*$port [0-9A-F:]* 01 " || return 1
    sleep 0.2
  done
}

# True when it still answers somebody, and goes on. By then everybody has seen that it is about to be something else.
spared() {
  busy || return 1
  say "the engine still answers somebody and goes on"
  tell ready "$took"
}

stop() {
  was=$state
  case $was in ready | loading | asleep) ;; *) return 0 ;; esac
  tell stopping
  [ "$was" != ready ] || ! spared || return 0
  say "stops the engine"
  end
}

doze() {
  [ "$state" = ready ] || return 0
  tell dozing
  ! spared || return 0
  nap "$GPUBOX_SEAT_SLEEP" slept
}

wake() {
  woken=$(date +%s)
  tell waking "$woken"
  nap "$GPUBOX_SEAT_WAKE" woke
}

# Beside all else: an order to the engine, and what became of it.
nap() {
  (
    if timeout "$GPUBOX_SEAT_SECONDS" sh -c "$1" 3>&- >/dev/null; then echo "$2" >&3; else echo restless >&3; fi
  ) &
}

end() {
  kill -TERM "$engine" 2>/dev/null
  overdue=$engine
  (
    sleep "$GPUBOX_SEAT_GRACE"
    echo "overdue $overdue" >&3
  ) &
}

# What an engine leaves behind still has its memory: workers, and what watched it.
sweep() {
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    [ "$pid" = 1 ] || [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
  done
  wait
  engine=
  listen &
}

# Docker kills this container some seconds after the engine's own grace, so the engine is gone by then, and `away` is said.
leave() {
  leaving=1
  [ -n "$engine" ] || away
  [ "$state" != stopping ] || return 0
  tell stopping
  end
}

away() {
  tell away
  exit 0
}

engine= began=0 woken=0 took= leaving= seen= count=0
born=$(date +%s)
# What the scheduler reads it opens for writing too, which its group may therefore. The engine's own files are as they would be.
mask=$(umask)
umask 007
rm -f "$SEAT/bell" "$SEAT/events"
mkfifo "$SEAT/bell" "$SEAT/events" || exit 1
exec 3<>"$SEAT/events"
rm -f "$SEAT/events"
# An order to the seat before this one.
read -r _ seen 2>/dev/null <"$ORDERS/order"
trap 'echo leave >&3' TERM INT
tell stopped
listen &
while :; do
  read -r event <&3 || continue
  case $event in
    "order "*)
      order=${event#order }
      seen=${order#* }
      case ${order% *} in
        start) [ -n "$leaving" ] || start "$@" ;;
        sleep) doze ;;
        stop) stop ;;
        say) tell "$state" "$value" ;;
      esac
      ;;
    leave) leave ;;
    ready)
      [ "$state" = loading ] || continue
      took=$(($(date +%s) - began))
      say "the engine answers after $took s"
      echo "$took" >"$SEAT/took"
      tell ready "$took"
      ;;
    slept)
      [ "$state" = dozing ] || continue
      say "the engine sleeps"
      tell asleep "$took"
      ;;
    woke)
      [ "$state" = waking ] || continue
      say "the engine is awake after $(($(date +%s) - woken)) s"
      tell ready "$took"
      ;;
    restless)
      case $state in dozing | waking) ;; *) continue ;; esac
      # Whoever waits for it has it loaded again.
      say "the engine did not follow while it was $state, and is stopped" >&2
      tell stopping
      end
      ;;
    late)
      [ "$state" = loading ] || continue
      say "the engine did not answer within $GPUBOX_SEAT_SECONDS s and is stopped" >&2
      end
      ;;
    "overdue "*)
      [ "${event#overdue }" = "$engine" ] || continue
      say "the engine did not end within $GPUBOX_SEAT_GRACE s and is killed" >&2
      was=$state
      sweep
      [ -z "$leaving" ] || away
      if [ "$was" = stopping ]; then tell stopped; else tell failed "$(date +%s)"; fi
      ;;
    "ended "*)
      [ -n "$engine" ] || continue
      was=$state
      sweep
      [ -z "$leaving" ] || away
      case $was in
        stopping) tell stopped ;;
        ready | dozing | asleep | waking)
          say "the engine ended by itself, with ${event#ended }" >&2
          tell stopped
          ;;
        *)
          say "the engine ended before it was loaded, with ${event#ended }" >&2
          tell failed "$(date +%s)"
          ;;
      esac
      ;;
  esac
done
