# Closes a valve: its server gets no new request, and what runs may end: docker exec VALVE bash /etc/gpubox/drain.sh SECONDS
# What takes longer is cut then, at once and with its connection, so that a gateway can end the stream with an error: an engine
# that is stopped may keep it open in silence. `--undo` opens the valve again, once the server is healthy; a reload does that too.
# `--await SECONDS` opens it and waits until the server is healthy. `--next` before all that: not the backend's own server, but
# the one that stands in for it while it is replaced.
set -euo pipefail
source /etc/gpubox/control.sh
lock

SERVER=backend
[[ $1 != --next ]] || { SERVER=next; shift; }

# Whether HAProxy took a change of the server: it has nothing to say to that.
change() {
  local said
  said=$(ask "@1 set server model/$SERVER $1" | tr -d '\n')
  [[ -z $said ]] || fail "the valve refuses: $said"
}

# A field of the server's statistics in one process, in these proxies: 5 requests that run, 18 the state.
stat() {
  ask "$1 show stat -1 4 -1" | awk -F, -v server=$SERVER -v field="$2" -v proxies="$3" '$1 ~ proxies && $2 == server { print $field }'
}

# Only a check brings it up: a server that is new at this name may have been up a moment ago.
open() {
  change "health down"
  change "state ready"
}

if [[ $1 == --undo ]]; then
  open
  exit
fi

if [[ $1 == --await ]]; then
  open
  deadline=$((SECONDS + $2))
  until [[ $(stat @1 18 "^model$") == UP* ]]; do
    ((SECONDS < deadline)) || fail "the valve does not see $SERVER within $2 s"
    sleep 0.1
  done
  exit
fi

# Prefixes of commands for the worker that serves, and for those that only finish what they have.
processes() {
  echo @1
  workers | tail -n +2 | sed 's/^/@!/'
}

running() {
  for process in $(processes); do
    # One of the old ones may end at any time.
    stat "$process" 5 "^(model|canary)$" 2>/dev/null || true
  done | awk '{ n += $1 } END { print n + 0 }'
}

# Ends the requests of the server one by one: a process that only finishes what it has takes no command about servers.
cut() {
  for request in $(ask "$1 show sess" | awk -v server="srv=$SERVER" '/ be=(model|canary) / && index($0, " " server " ") { sub(":", "", $1); print $1 }'); do
    ask "$1 shutdown session $request" >/dev/null
  done
}

# A canary's share goes to the stand-in whatever its state.
[[ $SERVER != next || ! -f /etc/gpubox/canary.lua ]] || ask "@1 canary end" >/dev/null
change "state drain"
deadline=$((SECONDS + $1))
until [[ $(running) == 0 ]]; do
  if ((SECONDS >= deadline)); then
    echo "$(running) requests did not end within $1 s and are cut"
    for process in $(processes); do
      cut "$process" 2>/dev/null || true
    done
    exit
  fi
  sleep 0.5
done
echo "drained"
