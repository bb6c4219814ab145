# Moves the edge to other gateways: docker exec EDGE bash /etc/gpubox/switch.sh NAME…
#
# Exit 0: they serve, and the ones before finish what they have. Exit 1: nothing was switched. Running it again does no
# harm, and repairs an edge whose running state and file differ.
# --status prints a line for each gateway: slot, name, state (serving, down, draining), requests that it has now.
set -euo pipefail
source /etc/gpubox/control.sh
source /etc/gpubox/upstream.sh

# A gateway was proven before it is named here, so this only covers one that restarts just now.
UP_SECONDS=${GPUBOX_UP_SECONDS:-45}

# Bits of srv_admin_state in `show servers state`: forced maintenance, forced drain, no address.
MAINT=0x01 DRAIN=0x08 NO_ADDRESS=0x20

declare -A name address operation admin health sessions

# Fills the tables above, by slot, from the worker that PREFIX addresses.
read_slots() {
  name=() address=() operation=() admin=() health=() sessions=()
  local line row slot
  while read -r line; do
    if [[ $line == gateways,* ]]; then
      IFS=, read -ra row <<<"$line"
      [[ ! ${row[1]} =~ ^s[0-9]+$ ]] || sessions[${row[1]}]=${row[4]}
      continue
    fi
    read -ra row <<<"$line"
    slot=${row[3]:-}
    [[ ${row[1]:-} == gateways && $slot =~ ^s[0-9]+$ ]] || continue
    address[$slot]=${row[4]} operation[$slot]=${row[5]} admin[$slot]=${row[6]} health[$slot]=${row[12]}
    name[$slot]=${row[17]}
  done < <(ask "$1 show servers state gateways; $1 show stat gateways 4 -1")
  ((${#name[@]} == SLOTS && ${#sessions[@]} == SLOTS)) || fail "the edge's HAProxy does not show its $SLOTS slots"
}

slots() { printf '%s\n' "${!name[@]}" | sort -V; }
resting() { ((admin[$1] & MAINT)); }
active() { ((!(admin[$1] & (MAINT | DRAIN)))); }
up() { ((operation[$1] == 2 && !(admin[$1] & NO_ADDRESS))); }
# Health 1 is what a server starts with, before its first check; one that passed has more.
proven() { up "$1" && ((health[$1] > 1)); }

# Slots that drained to the end rest, so that nobody checks a gateway that is gone. All resting slots get a name that
# exists, so that nobody asks the network for one that does not.
rest_drained() {
  local slot serving="" commands=""
  read_slots @1
  for slot in $(slots); do
    ! active "$slot" || serving=${serving:-${name[$slot]}}
  done
  for slot in $(slots); do
    active "$slot" || ((sessions[$slot] > 0)) && continue
    resting "$slot" || commands+="@1 set server gateways/$slot state maint; "
    [[ -z $serving || ${name[$slot]} == "$serving" ]] || commands+="@1 set server gateways/$slot fqdn $serving; "
  done
  [[ -z $commands ]] || { ask "$commands" >/dev/null && read_slots @1; }
}

status() {
  local pid slot gateway
  declare -A requests=() states=() places=()
  # Old workers, from reloads, finish requests too: of gateways that may have left the slots of the serving one.
  for pid in $(workers | tail -n +2); do
    read_slots "@!$pid"
    for slot in "${!name[@]}"; do
      ((sessions[$slot] == 0)) && continue
      gateway=${name[$slot]}
      requests[$gateway]=$((${requests[$gateway]:-0} + sessions[$slot])) states[$gateway]=draining
    done
  done
  read_slots @1
  for slot in "${!name[@]}"; do
    resting "$slot" && ((sessions[$slot] == 0)) && continue
    gateway=${name[$slot]}
    requests[$gateway]=$((${requests[$gateway]:-0} + sessions[$slot])) places[$gateway]=$slot states[$gateway]=draining
    if active "$slot"; then
      up "$slot" && states[$gateway]=serving || states[$gateway]=down
    fi
  done
  for gateway in "${!states[@]}"; do
    echo "${places[$gateway]:--} $gateway ${states[$gateway]} ${requests[$gateway]}"
  done | sort -V
}

# Prints the slot for gateway NAME: the one it has, or a free one that is not in TAKEN.
slot_for() {
  local slot free=""
  for slot in $(slots); do
    if [[ ${name[$slot]} == "$1" ]] && ! resting "$slot"; then
      echo "$slot"
      return
    fi
    if [[ -z $free && " ${taken[*]} " != *" $slot "* ]] && resting "$slot" && ((sessions[$slot] == 0)); then
      free=$slot
    fi
  done
  [[ -n $free ]] || fail "no slot is free for $1: $SLOTS gateways serve or still drain; try again when some have finished"
  echo "$free"
}

# Docker's answer for NAME; the wait for the gateways covers a name that is not there yet.
resolve() { getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }'; }

# Puts gateway NAME into SLOT: checked from now on, without traffic. Not up until a check of its own address passes.
prepare() {
  local server=gateways/$1 commands="" ip
  ip=$(resolve "$2" || true)
  commands+="@1 set server $server state maint; "
  [[ ${name[$1]} == "$2" ]] || commands+="@1 set server $server fqdn $2; "
  [[ -z $ip ]] || commands+="@1 set server $server addr $ip; "
  ask "$commands@1 set server $server state drain; @1 set server $server health down" >/dev/null
}

# Waits until all of SLOT=NAME… are proven at the address that their name has now. Else sets `late` to the first that is not.
wait_up() {
  local deadline=$((SECONDS + UP_SECONDS)) pair slot
  while true; do
    late=""
    read_slots @1
    for pair in "$@"; do
      slot=${pair%%=*}
      proven "$slot" && [[ ${address[$slot]} == "$(resolve "${pair#*=}")" ]] || late=${late:-${pair#*=}}
    done
    [[ -n $late ]] || return 0
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# takes_key GATEWAY KEY: whether the gateway answers a request with that master key.
takes_key() {
  local status=""
  { exec 3<>"/dev/tcp/$1/4000"; } 2>/dev/null || return 1
  printf 'GET /v1/models HTTP/1.0\r\nHost: gateway\r\nAuthorization: Bearer %s\r\n\r\n' "$2" >&3
  read -r -t 10 status <&3 || true
  exec 3>&-
  [[ $status == "HTTP/1."?" 200"* ]]
}

# Name of the master key that gateway NAME knows. Asked only while there are two.
knows() {
  local key previous
  previous=$(master_key previous)
  if [[ -z $previous ]] || takes_key "$1" "$(master_key master)"; then
    echo master
  elif takes_key "$1" "$previous"; then
    echo previous
  else
    echo neither
  fi
}

switch() {
  local gateway slot pair knows late commands=""
  local -a taken=() pairs=() new=()
  for gateway in "$@"; do
    slot=$(slot_for "$gateway")
    taken+=("$slot") pairs+=("$slot=$gateway")
    active "$slot" && [[ ${name[$slot]} == "$gateway" ]] || new+=("$slot=$gateway")
  done

  for pair in "${new[@]}"; do prepare "${pair%%=*}" "${pair#*=}"; done
  if ! wait_up "${pairs[@]}"; then
    for pair in "${new[@]}"; do ask "@1 set server gateways/${pair%%=*} state maint" >/dev/null; done
    fail "$late did not come up in the edge within $UP_SECONDS seconds; nothing was switched"
  fi

  knows=$(knows "$1")
  # First the file: whatever happens from here on, a restart serves what was just proven to be up.
  write_upstream "$(fingerprint "$(master_key "$knows")")" "${pairs[@]}"
  write_knows "$knows"
  for slot in $(slots); do
    if active "$slot" && [[ " ${taken[*]} " != *" $slot "* ]]; then
      commands+="@1 set server gateways/$slot state drain; "
    fi
  done
  # Between these two no gateway serves, for a millisecond in which requests wait: none meets one with the other's key.
  commands+="@1 set map $KNOWS generation $knows; "
  for pair in "${new[@]}"; do commands+="@1 set server gateways/${pair%%=*} state ready; "; done
  ask "$commands" >/dev/null

  read_slots @1
  for pair in "${pairs[@]}"; do
    active "${pair%%=*}" || fail "the edge's HAProxy did not take the switch to ${pair#*=}; run it again"
  done
  rest_drained
}

if [[ ${1:-} == --status && $# == 1 ]]; then
  lock
  rest_drained
  status
  exit
fi

(($# > 0)) || fail "which gateways? Name them: switch.sh NAME…"
declare -A seen=()
for gateway in "$@"; do
  [[ $gateway =~ ^$NAME$ ]] || fail "'$gateway' is no container's name"
  [[ -z ${seen[$gateway]:-} ]] || fail "$gateway is named twice"
  seen[$gateway]=1
done
lock
rest_drained
switch "$@"
echo "serving $*"
