#!/bin/sh
# Brings the database to the schema of this image, then ends. The secrets come from the env file, as in a gateway that serves.
set -a
. /etc/gpubox/gateway.env
set +a
. /etc/gpubox/database.sh

exec python3 /etc/gpubox/migrate.py
