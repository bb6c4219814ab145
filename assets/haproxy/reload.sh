# Makes the HAProxy of this container read its configuration again: docker exec CONTAINER bash /etc/gpubox/reload.sh
#
# A bad configuration changes nothing: exit 1 with the checker's message. Streams that run go on in the old process.
set -euo pipefail
source /etc/gpubox/control.sh
lock

MOVED=/etc/gpubox/moved.map
files=(-f /etc/gpubox/haproxy.cfg)
if [[ -f /etc/gpubox/upstream.sh ]]; then
  source /etc/gpubox/upstream.sh
  source /etc/gpubox/certificates.sh
  restore_upstream
  files+=(-f "$UPSTREAM")
fi

verdict=$(haproxy -c "${files[@]}" 2>&1) || fail "$verdict"

before=$(workers | head -n 1)
kill -USR2 1
deadline=$((SECONDS + 15))
until now=$(workers 2>/dev/null | head -n 1) && [[ -n $now && $now != "$before" ]] &&
  serves "$now\$"; do
  ((SECONDS < deadline)) || fail "the new process did not start within 15 seconds; the old one keeps serving"
  sleep 0.1
done
if [[ -e $MOVED ]]; then
  for pid in $(workers | tail -n +2); do ask "@!$pid add map $MOVED moved yes" >/dev/null; done
fi
if [[ -n ${UPSTREAM:-} ]]; then
  tell_expiry || echo "HAProxy does not tell until when its certificate is good" >&2
fi
echo "reloaded"
