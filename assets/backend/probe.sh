# What the entrypoint and the health check both ask. Sourced; POSIX sh, because it runs in every engine's image.
#
# GPUBOX_PORT, GPUBOX_HEALTH_PATH: where the engine answers 200 once its model is loaded.
# GPUBOX_GPUS: how many NVIDIA devices this container was given; empty for others.

# Seconds for one answer. A loaded engine answers its health path from memory.
PROBE_SECONDS=5

# True when the engine answers 200. No image has all of these clients; Ollama's has none but bash.
engine_ready() {
  if command -v curl >/dev/null; then
    code=$(curl -s -o /dev/null -m "$PROBE_SECONDS" -w '%{http_code}' "http://127.0.0.1:$GPUBOX_PORT$GPUBOX_HEALTH_PATH")
    [ "$code" = 200 ]
  elif command -v bash >/dev/null; then
    bash -c '
      exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
      printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$2" >&3
      read -r -t "$3" status <&3
      [[ $status == "HTTP/1."?" 200"* ]]
    ' probe "$GPUBOX_PORT" "$GPUBOX_HEALTH_PATH" "$PROBE_SECONDS" 2>/dev/null
  elif command -v python3 >/dev/null; then
    python3 -c '
import sys, urllib.request
url, seconds = sys.argv[1:]
sys.exit(urllib.request.urlopen(url, timeout=int(seconds)).status != 200)
' "http://127.0.0.1:$GPUBOX_PORT$GPUBOX_HEALTH_PATH" "$PROBE_SECONDS" 2>/dev/null
  else
    wget -q -T "$PROBE_SECONDS" -O /dev/null "http://127.0.0.1:$GPUBOX_PORT$GPUBOX_HEALTH_PATH"
  fi
}

# False when a device that was given to this container cannot be reached any more. `systemctl daemon-reload` takes GPUs
# away from running containers ("Failed to initialize NVML: Unknown Error"), and a GPU can fall off the bus: the engine
# may go on answering its health path in both cases. nvidia-smi can hang on such a device, so it gets a limit.
gpus_reachable() {
  [ -n "${GPUBOX_GPUS:-}" ] || return 0
  if command -v nvidia-smi >/dev/null; then
    found=$(timeout 10 nvidia-smi -L 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$found" | grep -c 'UUID: ')" -ge "$GPUBOX_GPUS" ]
  else
    # Not every image asks for the driver's tools. Opening a device that the container lost is refused.
    for device in /dev/nvidia[0-9]*; do
      { : <"$device"; } 2>/dev/null || return 1
    done
  fi
}
