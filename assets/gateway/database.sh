# Sourced where LiteLLM starts. LiteLLM hands the database's URL to Prisma's command line as an argument, which everybody on the host
# can read. The recipe's engines take the password from PGPASSWORD, as libpq does, so the URL goes without it. Prisma's native
# engines, of the official image, know no other place for it.
case ${PRISMA_QUERY_ENGINE_BINARY:-} in
  /app/prisma-engines/*)
    PGPASSWORD=$(python3 -c 'import os; from urllib.parse import unquote, urlsplit; print(unquote(urlsplit(os.environ["DATABASE_URL"]).password or ""))')
    DATABASE_URL=$(printf %s "$DATABASE_URL" | sed -E 's#^([a-z]+://[^:/@]*):[^/]*@#\1@#')
    export PGPASSWORD DATABASE_URL
    # A gateway that serves asks Prisma for the difference to a schema that its working directory does not have. The command line takes
    # four seconds of CPU to say so, and LiteLLM goes on without an answer.
    [ -z "${DISABLE_SCHEMA_UPDATE:-}" ] || export LITELLM_PRISMA_COMMAND_TIMEOUT=0.01
    ;;
esac
