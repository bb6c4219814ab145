#!/bin/sh
# Brings the database to the schema of this image, then ends: LiteLLM's own job, as its chart runs it. The secrets come from
# the env file, as in a gateway that serves.
set -a
. /etc/gpubox/gateway.env
set +a
. /etc/gpubox/database.sh

cd /app 2>/dev/null || cd /
exec python3 -m litellm.proxy.prisma_migration
