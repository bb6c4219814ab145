#!/bin/sh
# Prints, as SQL, what LiteLLM's own migrations make of an empty database: they run here once, when the image is built.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=$(mktemp -d)
initdb -D "$data" -U litellm --auth=trust --encoding=UTF8 --locale=C.UTF-8 >&2
# Over a socket only: a build shares its network with the host.
pg_ctl -D "$data" -l "$data/log" -w -o "-k '$data' -c listen_addresses= -c fsync=off" start >&2
DATABASE_URL=postgresql://litellm@$(echo "$data" | sed 's#/#%2F#g')/postgres LITELLM_MIGRATION_DIR=$data/litellm python3 - >&2 <<'PY'
from litellm_proxy_extras.utils import ProxyExtrasDBManager

if not ProxyExtrasDBManager.run_migration_job(use_migrate=True, use_v2_resolver=True):
    raise SystemExit("LiteLLM's migration of an empty database failed")
PY
pg_dump -h "$data" -U litellm --no-owner --no-privileges --inserts --rows-per-insert=1000 -f "$data/all.sql" postgres
pg_ctl -D "$data" -m immediate stop >&2
# Without what only psql or a newer server knows, and with settings that end with the transaction. The rows of Prisma's ledger stay:
# a later migration goes on from them.
sed -E '/^\\(un)?restrict /d; /^SET transaction_timeout/d; s/^SET /SET LOCAL /; /^SELECT pg_catalog.set_config/s/false/true/' "$data/all.sql"
