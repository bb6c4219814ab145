"""What goes wrong, and how the client hears of it; transactions and batches; engines and databases that go away."""

import asyncio
import datetime
import os
import signal
import subprocess
import sys
import textwrap

import psycopg
from cases import HOST, PASSWORD, backends, case, client, code, one, outside, raised, sql, until, url
from prisma import Json
from prisma import errors as E
from queries import WHO, log, with_client

SECONDS = lambda seconds: datetime.timedelta(seconds=seconds)
UPDATE = 'update "LiteLLM_BudgetTable" set max_budget = 2 where budget_id = $1'


async def budgets(db, *names):
    for name in names:
        await db.litellm_budgettable.create(data={**WHO, "budget_id": name})


def engine(db):
    return db._Prisma__engine.process


@with_client
async def refusals_of_the_database_have_prismas_codes(db):
    await budgets(db, "a")
    twice = await raised(budgets(db, "a"))
    assert isinstance(twice, E.UniqueViolationError) and code(twice) == "P2002", twice
    assert twice.data["user_facing_error"]["meta"]["target"] == ["budget_id"], twice.data
    foreign = await raised(db.litellm_verificationtoken.create(data={"token": "t", "budget_id": "nobody"}))
    assert isinstance(foreign, E.ForeignKeyViolationError) and code(foreign) == "P2003", foreign
    nobody = {"token": "t", "litellm_budget_table": {"connect": {"budget_id": "nobody"}}}
    missing = await raised(db.litellm_verificationtoken.create(data=nobody))
    assert isinstance(missing, E.RecordNotFoundError) and code(missing) == "P2025", missing
    none = await raised(db.litellm_budgettable.find_unique_or_raise(where={"budget_id": "nobody"}))
    assert isinstance(none, E.RecordNotFoundError), none
    required = await raised(db.litellm_budgettable.create(data={"budget_id": "b", "created_by": "a"}))
    assert isinstance(required, E.MissingRequiredValueError), required
    unknown = await raised(db.litellm_budgettable.find_first(where={"nope": 1}))
    assert isinstance(unknown, E.FieldNotFoundError), unknown
    wrong = await raised(db.litellm_budgettable.create(data={**WHO, "budget_id": "c", "max_parallel_requests": 2**40}))
    assert isinstance(wrong, E.DataError), wrong


@with_client
async def refusals_of_sql_carry_the_databases_code(db):
    for text, state in (("select nope from nix", "42P01"), ("select 1/0", "22012"), ("selec", "42601"), ("select 'x'::int", "22P02")):
        error = await raised(db.query_raw(text))
        assert isinstance(error, E.RawQueryError) and error.meta["code"] == state, (text, error, error.data)
    error = await raised(db.execute_raw("insert into \"LiteLLM_CronJob\" (cronjob_id) values ('x')"))
    assert error.meta["code"] == "23502", error.data


@with_client
async def transactions_are_kept_whole_or_dropped_whole(db):
    await budgets(db, "a")
    soft = lambda: one("""select soft_budget from "LiteLLM_BudgetTable" where budget_id = 'a'""")
    change = lambda tx, value: tx.litellm_budgettable.update(where={"budget_id": "a"}, data={"soft_budget": value})
    async with db.tx() as tx:
        await change(tx, 1)
        assert soft() is None
        assert (await tx.litellm_budgettable.find_first()).soft_budget == 1
        assert (await db.litellm_budgettable.find_first()).soft_budget is None
    assert soft() == 1

    async def fails():
        async with db.tx() as tx:
            await change(tx, 2)
            raise ValueError

    assert isinstance(await raised(fails()), ValueError) and soft() == 1

    async def refused():
        async with db.tx() as tx:
            await change(tx, 3)
            await budgets(tx, "a")

    assert isinstance(await raised(refused()), E.UniqueViolationError) and soft() == 1

    async def expires():
        async with db.tx(timeout=datetime.timedelta(milliseconds=300)) as tx:
            await change(tx, 4)
            await asyncio.sleep(0.8)  # pause: longer than the transaction lives
            await change(tx, 5)

    error = await raised(expires())
    assert isinstance(error, (E.TransactionExpiredError, E.TransactionError)), repr(error)
    assert soft() == 1
    # The connections of those that were dropped are free again.
    await asyncio.gather(*[change(db, 6) for _ in range(30)])
    assert soft() == 6


@with_client
async def a_batch_is_kept_whole_or_dropped_whole(db):
    async with db.batch_() as batch:
        batch.litellm_spendlogs.create(data=log(1, metadata=Json({"a": 1})))
        batch.litellm_spendlogs.create_many(data=[log(2), log(3)])
        batch.litellm_spendlogs.update(where={"request_id": "r1"}, data={"spend": {"increment": 2}})
        batch.execute_raw('update "LiteLLM_SpendLogs" set model = $1', "m")
    assert sql('select request_id, spend, model from "LiteLLM_SpendLogs" order by 1') == [("r1", 2.5, "m"), ("r2", 1, "m"), ("r3", 1.5, "m")]

    async def refused():
        async with db.batch_() as batch:
            batch.litellm_spendlogs.update(where={"request_id": "r1"}, data={"spend": 99})
            batch.litellm_spendlogs.create(data=log(2))

    assert isinstance(await raised(refused()), E.UniqueViolationError)
    assert one("""select spend from "LiteLLM_SpendLogs" where request_id = 'r1'""") == 2.5
    async with db.tx() as tx:
        async with tx.batch_() as batch:
            batch.litellm_spendlogs.delete(where={"request_id": "r1"})
        assert one('select count(*) from "LiteLLM_SpendLogs"') == 3
    assert one('select count(*) from "LiteLLM_SpendLogs"') == 2


@with_client
async def locks_and_deadlocks_end_with_a_code(db):
    await budgets(db, "a", "b")

    async def late(work):
        async with db.tx(timeout=SECONDS(20)) as tx:
            await tx.execute_raw("set local lock_timeout = '200ms'")
            await work(tx)

    async with db.tx(timeout=SECONDS(20)) as holder:
        await holder.litellm_budgettable.update(where={"budget_id": "a"}, data={"max_budget": 1})
        raw = await raised(late(lambda tx: tx.execute_raw(UPDATE, "a")))
        assert raw.meta["code"] == "55P03", raw.data
        model = await raised(late(lambda tx: tx.litellm_budgettable.update(where={"budget_id": "a"}, data={"max_budget": 1})))
        assert "lock timeout" in str(model), model

    async def crossing(first, second):
        async with db.tx(timeout=SECONDS(20)) as tx:
            await tx.execute_raw(UPDATE, first)
            await asyncio.sleep(0.3)  # pause: until the other holds its row too
            await tx.execute_raw(UPDATE, second)

    ends = await asyncio.gather(crossing("a", "b"), crossing("b", "a"), return_exceptions=True)
    [dead] = [end for end in ends if end is not None]
    assert dead.meta["code"] == "40P01", dead.data


@case
async def the_pool_has_as_many_connections_as_it_may_and_tells_who_waits_too_long():
    db = client(application_name="pool", connection_limit=2, pool_timeout=1, options="-c statement_timeout=3000")
    await db.connect()
    waiting = [db.query_raw("select pg_sleep(0.2)::text") for _ in range(8)]
    peak = asyncio.create_task(until("two connections", lambda: backends("pool") == 2))
    await asyncio.gather(*waiting)
    await peak
    assert backends("pool") == 2
    blocked = await asyncio.gather(*[db.query_raw("select pg_sleep(2)::text") for _ in range(2)], db.litellm_budgettable.count(), return_exceptions=True)
    assert code(blocked[2]) == "P2024", repr(blocked[2])
    slow = await raised(db.query_raw("select pg_sleep(10)::text"))
    assert slow.meta["code"] == "57014", slow.data
    await db.disconnect()
    await until("no connection is left", lambda: backends("pool") == 0)


@case
async def a_query_without_an_answer_ends_after_the_sockets_time():
    db = client(socket_timeout=1)
    await db.connect()
    assert code(await raised(db.query_raw("select pg_sleep(20)::text"))) == "P1008"
    assert await db.query_raw("select 1 as x") == [{"x": 1}]
    await db.disconnect()


@case
async def a_killed_engine_fails_queries_until_the_client_connects_again():
    db = client()
    await db.connect()
    os.kill(engine(db).pid, signal.SIGKILL)
    await raised(db.litellm_budgettable.count())
    await db.disconnect()
    await db.connect()
    assert await db.litellm_budgettable.count() >= 0
    await db.disconnect()


@case
async def an_engine_ends_with_the_process_that_started_it():
    text = f"""
        import asyncio, os, signal
        from prisma import Prisma
        async def main():
            db = Prisma(datasource={{"url": {url(application_name="orphan")!r}}})
            await db.connect()
            await db.query_raw("select 1 as x")
            print(db._Prisma__engine.process.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(main())
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, text=True)
    assert ended.returncode == -signal.SIGKILL and ended.stdout, ended
    pid = int(ended.stdout.split()[-1])

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    await until("the engine has ended", gone, 10)
    await until("its connections are closed", lambda: backends("orphan") == 0)


@case
async def nothing_that_is_seen_from_outside_holds_the_password():
    db = client()
    await db.connect()
    with open(f"/proc/{engine(db).pid}/cmdline", "rb") as line, open(f"/proc/{engine(db).pid}/comm") as name:
        assert PASSWORD.encode() not in line.read() and name.read().startswith("query-engine")
    await db.disconnect()


@case
async def connections_that_the_database_closes_are_replaced():
    db = client(application_name="closed")
    await db.connect()
    await asyncio.gather(*[db.query_raw("select pg_sleep(0.1)::text") for _ in range(3)])
    end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'closed'"
    running = asyncio.create_task(db.query_raw("select pg_sleep(20)::text"))
    await until("it runs", lambda: one("select count(*) from pg_stat_activity where query like '%pg_sleep(20)%' and application_name = 'closed'"))
    assert one(end) >= 1
    error = await raised(running)
    # Not the fault of what was asked: LiteLLM keeps rows for a database that it cannot reach, and drops them otherwise.
    assert code(error) == "P1001", error.data
    # At once, without a failed query between.
    assert await db.litellm_budgettable.count() >= 0
    async with db.tx() as tx:
        await tx.litellm_budgettable.count()
    await db.disconnect()


@case
async def a_database_that_lets_nobody_in_any_more_cannot_be_reached():
    db = client()
    await db.connect()
    with psycopg.connect(host=HOST, user="postgres", password=PASSWORD, dbname="litellm"):
        # It waits for this session, and refuses every other one.
        outside("close")
        told = await asyncio.gather(*[db.litellm_budgettable.count() for _ in range(3)], return_exceptions=True)
    await db.disconnect()
    outside("stop")
    outside("start")
    errors = [one for one in told if isinstance(one, Exception)]
    assert errors and all(code(one) == "P1001" and "reach database" in str(one) for one in errors), told


@with_client
async def what_is_no_fault_of_a_row_cannot_be_reached(db):
    """LiteLLM drops a row that the database refuses, and keeps one for a database that it cannot reach."""
    sql('create or replace function refuses() returns trigger language plpgsql as $$ begin raise exception using errcode = tg_argv[0]; end $$')
    values = ", ".join(f"'{value}'" for value in ("raw", "chat", "k", "2026-01-01", "2026-01-01"))
    raw = f'insert into "LiteLLM_SpendLogs" (request_id, call_type, api_key, "startTime", "endTime") values ({values})'

    async def batch():
        async with db.batch_() as several:
            several.litellm_spendlogs.create(data=log(1))

    ways = (
        lambda: db.litellm_spendlogs.create_many(data=[log(1)], skip_duplicates=True),
        lambda: db.litellm_spendlogs.create(data=log(1)),
        batch,
        lambda: db.execute_raw(raw),
    )
    # A full disk, no memory, an input or output error, a standby, a broken connection; and a value that is refused.
    expected = {"53100": True, "53200": True, "58030": True, "25006": True, "08006": True, "23514": False}
    for state, unreachable in expected.items():
        sql(f"""create trigger refuses before insert on "LiteLLM_SpendLogs" execute function refuses('{state}')""")
        try:
            found = [getattr(await raised(way()), "code", None) == "P1001" for way in ways]
        finally:
            sql('drop trigger refuses on "LiteLLM_SpendLogs"')
        assert found == [unreachable] * len(ways), (state, found)


@case
async def an_engine_that_is_told_to_stop_answers_what_is_open():
    db = client(application_name="told")
    await db.connect()
    running = asyncio.create_task(db.query_raw("select pg_sleep(20)::text"))
    await until("it runs", lambda: one("select count(*) from pg_stat_activity where query like '%pg_sleep(20)%' and application_name = 'told'"))
    os.kill(engine(db).pid, signal.SIGTERM)
    # LiteLLM kills it half a second later.
    error = await asyncio.wait_for(raised(running), 0.5)
    assert code(error) == "P1001" and "reach database" in str(error), repr(error)
    await until("the engine has ended", lambda: engine(db).poll() is not None)


@case
async def a_database_that_is_away_is_told_and_its_return_is_noticed():
    db = client()
    await db.connect()
    pid = engine(db).pid
    outside("stop")
    for ask in (lambda: db.litellm_budgettable.count(), lambda: db.query_raw("select 1"), lambda: db.execute_raw("select 1"), lambda: db.tx().start()):
        error = await asyncio.wait_for(raised(ask()), 15)
        assert PASSWORD not in str(error)
        told = getattr(error, "code", None) or str(error)
        assert "P1001" in told or "P1017" in told or "reach database" in told, repr(error)
    refused = await raised(client(connect_timeout=1).connect(timeout=SECONDS(3)))
    assert "Could not connect" in str(refused)
    outside("start")
    await until("it answers again", lambda: db.query_raw("select 1 as x"))
    assert engine(db).pid == pid and engine(db).poll() is None
    await db.disconnect()
