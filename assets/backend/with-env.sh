#!/bin/sh
# Starts an engine with the variables of backend.env: what is secret comes from a file that root owns and the container's
# group reads, and stands neither in the container's configuration nor in a command line.
set -a
. /etc/gpubox/backend.env
set +a
exec "$@"
