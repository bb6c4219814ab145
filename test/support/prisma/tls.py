"""TLS to the database: every mode, authorities, client certificates."""

import asyncio
import json
import os

from cases import PASSWORD, case, client, sql, url
from prisma import client as generated

CA, WRONG_CA, CERTIFICATE, KEY, IDENTITY = (f"/tls/{name}" for name in ("ca.pem", "wrong.pem", "client.pem", "client.key", "client.p12"))


async def encrypted(role="litellm", host="database", **parameters):
    """Whether the session is encrypted, and the name in the client's certificate."""
    db = client(role, host, connection_limit=1, **parameters)
    await db.connect()
    try:
        [row] = await db.query_raw("select ssl, client_dn from pg_stat_ssl where pid = pg_backend_pid()")
        return row["ssl"], row["client_dn"]
    finally:
        await db.disconnect()


async def refusal(role="litellm", host="database", **parameters):
    """Prisma's code with which the engine does not start; it says nothing of the password."""
    env = {**os.environ, "PRISMA_DML_PATH": str(generated.PACKAGED_SCHEMA_PATH), "DATABASE_URL": url(role, host, **parameters)}
    words = [os.environ["PRISMA_QUERY_ENGINE_BINARY"], "-p", "1"]
    engine = await asyncio.create_subprocess_exec(*words, env=env, stderr=asyncio.subprocess.PIPE)
    _, said = await engine.communicate()
    assert engine.returncode == 1 and PASSWORD.encode() not in said, said
    return json.loads(said.splitlines()[-1])["error_code"]


async def all_of(work, *wishes):
    return await asyncio.gather(*[work(**wish) for wish in wishes])


@case
async def a_session_is_encrypted_as_the_mode_says():
    found = await all_of(encrypted, {}, {"sslmode": "prefer"}, {"sslmode": "require"}, {"sslmode": "disable"})
    assert [ssl for ssl, _ in found] == [True, True, True, False], found
    assert await refusal(role="tlsonly", sslmode="disable") == "P1010"
    assert await encrypted(role="tlsonly") == (True, None)


@case
async def the_servers_certificate_is_checked_as_far_as_the_mode_says():
    full, strict = {"sslmode": "verify-full", "sslrootcert": CA}, {"sslmode": "require", "sslcert": CA, "sslaccept": "strict"}
    chain = {"sslmode": "verify-ca", "sslrootcert": CA}
    found = await all_of(encrypted, full, strict, chain, {**chain, "host": "other"}, {"sslmode": "require", "host": "other"})
    assert [ssl for ssl, _ in found] == [True] * 5, found
    wrong = {"sslrootcert": WRONG_CA}
    refused = await all_of(
        refusal,
        {**full, "host": "other"},
        {**strict, "host": "other"},
        {**full, **wrong},
        {**chain, **wrong},
        {"sslmode": "require", **wrong},
        {"sslmode": "verify-full"},
        {**full, "sslrootcert": "/tls/nowhere.pem"},
    )
    assert refused == ["P1011"] * 7, refused


@case
async def a_client_shows_its_certificate():
    certified = {"role": "certified", "sslmode": "verify-full", "sslrootcert": CA}
    pair = {**certified, "sslcert": CERTIFICATE, "sslkey": KEY}
    identity = {"role": "certified", "sslmode": "require", "sslcert": CA, "sslaccept": "strict", "sslidentity": IDENTITY, "sslpassword": "p12"}
    found = await all_of(encrypted, pair, identity)
    assert found == [(True, "/CN=certified")] * 2, found
    assert await refusal(**certified) == "P1010"
    assert await refusal(**{**identity, "sslpassword": "wrong"}) in ("P1001", "P1011")


@case
async def the_schema_engine_speaks_tls_too():
    words = [os.environ["PRISMA_SCHEMA_ENGINE_BINARY"], "cli", "--datasource"]
    for mode, code in (("verify-full", 0), ("disable", 1)):
        asked = await asyncio.create_subprocess_exec(
            *words, url("tlsonly", sslmode=mode, sslrootcert=CA), "can-connect-to-database", stderr=asyncio.subprocess.PIPE
        )
        _, said = await asked.communicate()
        assert asked.returncode == code and PASSWORD.encode() not in said, said


@case
async def a_server_without_tls_is_spoken_to_in_plain_text_only_where_that_is_allowed():
    sql("alter system set ssl = off")
    sql("select pg_reload_conf()")
    try:
        assert (await encrypted(sslmode="prefer"))[0] is False
        assert await all_of(refusal, {"sslmode": "require"}, {"sslmode": "verify-full", "sslrootcert": CA}) == ["P1011"] * 2
    finally:
        sql("alter system reset ssl")
        sql("select pg_reload_conf()")
