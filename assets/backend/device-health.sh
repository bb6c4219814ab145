#!/bin/sh
# Health check of a backend that holds devices: they are still there, and the engine answers.
. "${0%/*}/device.sh"

gpus_reachable || {
  echo "a GPU of this container cannot be reached"
  exit 1
}
engine_ready || {
  echo "the engine does not answer: $GPUBOX_PROBE"
  exit 1
}
