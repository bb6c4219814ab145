#!/bin/sh
# Health check of a backend's container: the engine answers, and the devices that it runs on are still there.
. "${0%/*}/probe.sh"

gpus_reachable || {
  echo "a GPU of this container cannot be reached"
  exit 1
}
engine_ready || {
  echo "the engine does not answer 200 on $GPUBOX_HEALTH_PATH"
  exit 1
}
