# Keeps the edge's certificate up to date: runs renew.sh after GPUBOX_FIRST seconds, then every GPUBOX_INTERVAL, or after
# GPUBOX_RETRY when it failed. POSIX sh: the official image of the ACME client has no bash.
set -u
export GPUBOX_LOOP=yes

sleep "$GPUBOX_FIRST"
while :; do
  if sh /etc/gpubox/renew.sh; then sleep "$GPUBOX_INTERVAL"; else sleep "$GPUBOX_RETRY"; fi
done
