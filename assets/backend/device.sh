# What the device lock and the health check both ask. Sourced; POSIX sh, because it runs in every engine's image.
#
# GPUBOX_PROBE: the engine's own health check as a command of sh.
# GPUBOX_GPUS: how many NVIDIA devices this container was given; empty for others.

# True when the engine can answer, within $1 seconds. Default: 10. Its check is made of what its image has.
engine_ready() {
  timeout "${1:-10}" sh -c "$GPUBOX_PROBE" >/dev/null 2>&1
}

# False when a device that was given to this container cannot be reached any more. `systemctl daemon-reload` takes GPUs
# away from running containers ("Failed to initialize NVML: Unknown Error"), and a GPU can fall off the bus: the engine
# may go on answering its health check in both cases. nvidia-smi can hang on such a device, so it gets a limit.
gpus_reachable() {
  [ -n "${GPUBOX_GPUS:-}" ] || return 0
  if command -v nvidia-smi >/dev/null; then
    found=$(timeout 10 nvidia-smi -L 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$found" | grep -c 'UUID: ')" -ge "$GPUBOX_GPUS" ]
  else
    # Not every image asks for the driver's tools. Opening a device that the container lost is refused. By `true`: a special
    # builtin such as `:` would end the shell with it, whatever comes behind.
    for device in /dev/nvidia[0-9]*; do
      { true <"$device"; } 2>/dev/null || return 1
    done
  fi
}
