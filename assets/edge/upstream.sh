# What the edge serves, on disk: /var/lib/gpubox/upstream.cfg. Sourced by the other scripts.
#
# Sixteen slots, most of them free, so that gateways come and go at run time: a reload would keep old processes that send
# to gateways which are about to be deleted. The file says what a restart or a reload comes up with.

STATE=/var/lib/gpubox
UPSTREAM=$STATE/upstream.cfg
KEYS=/etc/gpubox/keys.map
# Which of the master keys the serving gateways know: `generation master`, `generation previous` or `generation neither`.
KNOWS=/tmp/knows.map
# Empty in the process that serves; in an old one, `moved yes`: it gives further requests to its successor.
MOVED=/tmp/moved.map
# `expiry SECONDS`: until when the certificate is good, see certificates.sh. HAProxy does not start without the file.
EXPIRY=/tmp/expiry.map
SLOTS=16

# A container's name, as Docker takes it.
NAME='[A-Za-z0-9][A-Za-z0-9_.-]*'

# master_key NAME: the key of that name in keys.map.
master_key() {
  local name value
  while read -r name value; do
    if [[ $name == "$1" ]]; then
      printf %s "$value"
      return
    fi
  done <"$KEYS"
}

# fingerprint KEY: enough of its hash to know it again. Keys are long and random, so it tells nothing.
fingerprint() {
  [[ -z $1 ]] || printf %s "$1" | sha256sum | head -c 16
}

# write_upstream FINGERPRINT SLOT=NAME…: one atomic write, which survives a loss of power.
write_upstream() {
  local key=$1 pair i
  shift
  declare -A serves=()
  for pair in "$@"; do serves[${pair%%=*}]=${pair#*=}; done
  local first=${1:-=unused}
  {
    echo "# Written by gpubox. The serving gateways and the fingerprint of the master key that they know."
    echo "# key ${key:-unknown}"
    echo "backend gateways from slots"
    for ((i = 1; i <= SLOTS; i++)); do
      # A free slot must have a name. With that of a serving gateway no name is asked for that does not exist.
      if [[ -n ${serves[s$i]:-} ]]; then
        echo "  server s$i ${serves[s$i]}:4000"
      else
        echo "  server s$i ${first#*=}:4000 disabled"
      fi
    done
    echo "  server waiting unix@/tmp/waiting.sock backup no-check pool-max-conn 0"
  } >"$UPSTREAM.new"
  sync "$UPSTREAM.new"
  mv "$UPSTREAM.new" "$UPSTREAM"
}

# The file's slots as SLOT=NAME lines.
file_slots() {
  [[ ! -f $UPSTREAM ]] || sed -nE "s/^ *server (s[0-9]+) ($NAME):4000\$/\1=\2/p" "$UPSTREAM"
}

# The file's fingerprint of the key that the serving gateways know.
file_key() {
  [[ ! -f $UPSTREAM ]] || sed -nE 's/^# key ([0-9a-f]+)$/\1/p' "$UPSTREAM"
}

# known_as FINGERPRINT: which of the keys in keys.map that is.
known_as() {
  local name
  for name in master previous; do
    if [[ -n $1 && $1 == "$(fingerprint "$(master_key "$name")")" ]]; then
      echo "$name"
      return
    fi
  done
  echo neither
}

write_knows() {
  echo "generation $1" >"$KNOWS"
}

# Writes the file again as this version writes it, with the slots that it names, and what follows from it.
restore_upstream() {
  local pairs key
  mapfile -t pairs < <(file_slots)
  key=$(file_key)
  write_upstream "$key" "${pairs[@]}"
  write_knows "$(known_as "$key")"
  : >"$MOVED"
  : >>"$EXPIRY"
}
