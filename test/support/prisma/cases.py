"""What the cases of Prisma's engines share. They run in the gateway's image, against the real client and a real Postgres."""

import asyncio
import datetime
import json
import os
import sys
import time
import traceback
from urllib.parse import quote, urlencode

import psycopg
from prisma import Prisma

HOST = os.environ["DATABASE_HOST"]
PASSWORD = os.environ["DATABASE_PASSWORD"]
UTC = datetime.timezone.utc

CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def url(role="litellm", host=HOST, **parameters):
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"postgresql://{role}:{quote(PASSWORD, safe='')}@{host}:5432/litellm{query}"


def client(role="litellm", host=HOST, **parameters):
    return Prisma(datasource={"url": url(role, host, **parameters)})


def sql(text, *parameters):
    """Rows as Postgres itself has them, by another driver and as the superuser."""
    with psycopg.connect(host=HOST, user="postgres", password=PASSWORD, dbname="litellm", autocommit=True) as connection:
        found = connection.execute(text, parameters or None)
        return found.fetchall() if found.description else []


def one(text, *parameters):
    return sql(text, *parameters)[0][0]


def backends(application):
    return one("select count(*) from pg_stat_activity where application_name = %s", application)


async def raised(awaitable):
    try:
        await awaitable
    except Exception as error:
        return error
    raise AssertionError("it was not refused")


def code(error):
    """Prisma's code, as LiteLLM looks for it."""
    assert hasattr(error, "code"), repr(error)
    return error.code


async def until(what, check, seconds=20):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            found = check()
            found = await found if asyncio.iscoroutine(found) else found
        except Exception:
            found = None
        if found:
            return found
        await asyncio.sleep(0.1)  # pause: between two looks
    raise AssertionError(f"not within {seconds} s: {what}")


def outside(verb):
    """Has the test do what cannot be done in here."""
    print(json.dumps({"do": verb}), flush=True)
    sys.stdin.readline()


async def main(names):
    for name in names or CASES:
        began = time.monotonic()
        try:
            await asyncio.wait_for(CASES[name](), 180)
            said = None
        except BaseException:
            said = traceback.format_exc()
        seconds = round(time.monotonic() - began, 2)
        print(json.dumps({"case": name, "failed": said, "seconds": seconds}), flush=True)
