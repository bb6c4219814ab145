#!/bin/sh
# Health check of a model's container that is loaded on demand: the seat is there, and an engine that is loaded answers,
# also in its sleep.
# GPUBOX_SEAT_HEALTH: the check of a container whose engine always runs, as a command of sh.
read -r state _ </run/gpubox/seat/state || exit 1
case $state in
  ready | asleep) sh -c "$GPUBOX_SEAT_HEALTH" ;;
  away) exit 1 ;;
esac
