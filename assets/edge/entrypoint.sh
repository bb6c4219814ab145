# Starts the edge. It comes up without any gateway, and after a reboot with those that served last.
#
# GPUBOX_UPSTREAM: names of the gateways to begin with, separated by spaces; read only when nothing has served yet.
set -euo pipefail
source /etc/gpubox/control.sh
source /etc/gpubox/upstream.sh
source /etc/gpubox/certificates.sh

[[ -w $STATE ]] || fail "$STATE is not writable for user $(id -u): give the directory to 99:99"

if [[ ! -f $UPSTREAM ]]; then
  pairs=()
  for name in ${GPUBOX_UPSTREAM:-}; do
    [[ $name =~ ^$NAME$ ]] || fail "GPUBOX_UPSTREAM names '$name', which is no container's name"
    pairs+=("s$((${#pairs[@]} + 1))=$name")
  done
  write_upstream "$(fingerprint "$(master_key master)")" "${pairs[@]}"
fi
restore_upstream

[[ ! -d ${CERTIFICATE%/*} ]] || watch_certificate "$(certificate_hash)" &
{
  until serves; do sleep 0.2; done
  tell_expiry
} &
exec haproxy -W -db -S "$MASTER,mode,600" -f /etc/gpubox/haproxy.cfg -f "$UPSTREAM"
