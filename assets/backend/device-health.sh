#!/bin/sh
# Health check of a backend that holds devices or is watched: the devices are still there, and the engine answers. Whether it hangs
# is seen by its guard, which cannot look while a signal has stopped it too.
. "${0%/*}/device.sh"
. "${0%/*}/heal.sh"

# Before the rest: left down or waiting for room, that is the reason.
[ ! -e /tmp/gpubox-starved ] || {
  cat /tmp/gpubox-starved
  exit 1
}
[ ! -e /tmp/gpubox-left-down ] || {
  echo "the engine hung again and again and is left down"
  exit 1
}
gpus_reachable || {
  echo "a GPU of this container cannot be reached"
  exit 1
}
# Less than Docker gives the whole check.
engine_ready 4 || {
  fails resume
  echo "the engine does not answer: $GPUBOX_PROBE"
  exit 1
}
answers
