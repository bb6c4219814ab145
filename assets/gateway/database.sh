# Sourced where LiteLLM starts. LiteLLM hands the database's URL to Prisma's command line as an argument, which everybody on the host
# can read. The recipe's engines take the password from PGPASSWORD, as libpq does, so the URL goes without it. Prisma's native
# engines, of the official image, know no other place for it.

# Adds a parameter that the URL does not have.
add() {
  case $DATABASE_URL in
    *[?\&]"$1"=*) ;;
    *\?*) DATABASE_URL="$DATABASE_URL&$1=$2" ;;
    *) DATABASE_URL="$DATABASE_URL?$1=$2" ;;
  esac
}

tls=/etc/gpubox/database
case ${PRISMA_QUERY_ENGINE_BINARY:-} in
  /app/prisma-engines/*)
    PGPASSWORD=$(python3 -c 'import os; from urllib.parse import unquote, urlsplit; print(unquote(urlsplit(os.environ["DATABASE_URL"]).password or ""))')
    DATABASE_URL=$(printf %s "$DATABASE_URL" | sed -E 's#^([a-z]+://[^:/@]*):[^/]*@#\1@#')
    [ ! -e "$tls-authority.pem" ] || { add sslmode verify-full && add sslrootcert "$tls-authority.pem" && export PGSSLROOTCERT="$tls-authority.pem"; }
    [ ! -e "$tls-key.pem" ] || { add sslmode require && add sslcert "$tls-certificate.pem" && add sslkey "$tls-key.pem"; }
    export PGPASSWORD DATABASE_URL
    # A gateway that serves asks Prisma for the difference to a schema that its working directory does not have. The command line takes
    # four seconds of CPU to say so, and LiteLLM goes on without an answer.
    [ -z "${DISABLE_SCHEMA_UPDATE:-}" ] || export LITELLM_PRISMA_COMMAND_TIMEOUT=0.01
    # When the database was away, LiteLLM starts the engine anew and gives it 2 seconds where a request waits for it, 30 elsewhere. Node
    # needs longer on a busy machine, and each attempt kills what the one before has started.
    export PRISMA_AUTH_RECONNECT_TIMEOUT_SECONDS="${PRISMA_AUTH_RECONNECT_TIMEOUT_SECONDS:-10}"
    export PRISMA_WATCHDOG_RECONNECT_TIMEOUT_SECONDS="${PRISMA_WATCHDOG_RECONNECT_TIMEOUT_SECONDS:-120}"
    ;;
  *)
    # For them `sslcert` is the authority, and a client's certificate is a PKCS#12 file.
    if [ -e "$tls-key.pem" ]; then
      echo "gpubox:database.tls.certificate: The official image cannot show a client's certificate. Take the image of the recipe." >&2
      exit 1
    fi
    [ ! -e "$tls-authority.pem" ] || { add sslmode require && add sslaccept strict && add sslcert "$tls-authority.pem"; }
    export DATABASE_URL
    ;;
esac
