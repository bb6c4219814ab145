"""What LiteLLM asks of its tables: values of every type, filters, relations, and SQL."""

import asyncio
import datetime

from cases import UTC, case, client, one, raised, sql
from prisma import Base64, Json

WHO = {"created_by": "a", "updated_by": "b"}
# Without U+2028: the client itself puts spaces behind it.
TRICKY = 'é\n"q" \\ \\n \' 😀 \t {"a":1} ${x} """'


SHARED = []


def with_client(work):
    async def run():
        if not SHARED:
            SHARED.append(client())
            await SHARED[0].connect()
        for table in ("VerificationToken", "BudgetTable", "SpendLogs", "CronJob", "ManagedFileContentTable"):
            sql(f'delete from "LiteLLM_{table}"')
        await work(SHARED[0])

    run.__name__ = work.__name__
    return case(run)


def log(number, **more):
    at = datetime.datetime(2026, 1, 1, 12, number, tzinfo=UTC)
    spent = {"request_id": f"r{number}", "call_type": "c", "api_key": "k", "spend": 0.5 * number}
    return {**spent, "startTime": at, "endTime": at, **more}


@with_client
async def numbers_text_and_lists_keep_their_values(db):
    made = await db.litellm_budgettable.create(
        data={
            **WHO, "budget_id": TRICKY, "max_budget": 1.5e-7, "soft_budget": 123456789.125, "max_parallel_requests": -(2**31),
            "tpm_limit": 2**53 + 1, "rpm_limit": -(2**63), "tpd_limit": 2**63 - 1, "allowed_models": ["", "a,b", TRICKY, "{}", "NULL"],
        }
    )  # fmt: skip
    for row in (made, await db.litellm_budgettable.find_unique(where={"budget_id": TRICKY})):
        assert (row.budget_id, row.max_budget, row.soft_budget) == (TRICKY, 1.5e-7, 123456789.125)
        assert (row.max_parallel_requests, row.tpm_limit, row.rpm_limit, row.tpd_limit) == (-(2**31), 2**53 + 1, -(2**63), 2**63 - 1)
        assert row.allowed_models == ["", "a,b", TRICKY, "{}", "NULL"]
        assert row.budget_duration is None
    stored = sql('select budget_id, tpm_limit, rpm_limit, allowed_models from "LiteLLM_BudgetTable"')
    assert stored == [(TRICKY, 2**53 + 1, -(2**63), ["", "a,b", TRICKY, "{}", "NULL"])]
    assert await db.litellm_budgettable.count(where={"tpm_limit": {"gt": 2**53}, "allowed_models": {"has": "a,b"}}) == 1
    assert await db.litellm_budgettable.count(where={"tpm_limit": {"gt": 2**53 + 1}}) == 0


@with_client
async def times_of_every_offset_are_one_moment(db):
    kolkata = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    moment = datetime.datetime(2026, 3, 29, 1, 30, 15, 678901, tzinfo=kolkata)
    for at in (moment, moment.astimezone(UTC), moment.astimezone(UTC).replace(tzinfo=None)):
        await db.litellm_cronjob.create(data={"pod_id": "p", "ttl": at})
    stored = sql('select distinct ttl::text from "LiteLLM_CronJob"')
    assert stored == [("2026-03-28 20:00:15.678",)], stored
    for row in await db.litellm_cronjob.find_many():
        assert row.ttl == datetime.datetime(2026, 3, 28, 20, 0, 15, 678000, tzinfo=UTC), row.ttl
    assert await db.litellm_cronjob.count(where={"ttl": {"lte": moment, "gte": moment - datetime.timedelta(seconds=1)}}) == 3
    far = await db.litellm_cronjob.create(data={"pod_id": "p", "ttl": datetime.datetime(1969, 1, 1, tzinfo=UTC)})
    assert far.ttl.year == 1969


@with_client
async def sql_reads_times_with_an_offset_right_whatever_the_servers_zone_is(_):
    sql("alter role litellm set timezone = 'Asia/Kolkata'")
    own = client()
    await own.connect()
    try:
        text = "select '2026-01-01 00:00:00+05:30'::timestamptz z, '2026-01-01 01:02:03.5'::timestamp n, current_setting('TimeZone') tz"
        [row] = await own.query_raw(text)
        assert row["z"] == "2025-12-31T18:30:00+00:00" and row["tz"] == "UTC", row
        assert row["n"].startswith("2026-01-01T01:02:03.5"), row
    finally:
        sql("alter role litellm reset timezone")
        await own.disconnect()


@with_client
async def json_of_every_kind_is_stored_as_what_it_is(db):
    kinds = {
        "object": {"$type": "x", "value": TRICKY, "deep": [{"a": [1, 2.5, None, True, {}]}]},
        "array": ["a", 1, None, {"b": []}], "string": TRICKY, "number": 1e-7, "boolean": False, "null": None,
    }  # fmt: skip
    for kind, value in kinds.items():
        row = await db.litellm_spendlogs.create(data=log(1, request_id=kind, metadata=Json(value)))
        assert row.metadata == value, (kind, row.metadata)
    assert dict(sql('select request_id, jsonb_typeof(metadata) from "LiteLLM_SpendLogs"')) == {kind: kind for kind in kinds}
    assert dict(sql('select request_id, metadata from "LiteLLM_SpendLogs"')) == kinds
    for kind, value in kinds.items():
        changed = await db.litellm_spendlogs.update(where={"request_id": kind}, data={"response": Json(value)})
        assert changed.response == value
    found = await db.litellm_spendlogs.find_first(where={"metadata": {"equals": Json(TRICKY)}})
    assert found.request_id == "string"


@with_client
async def json_is_filtered_by_its_parts_inside_of_other_filters(db):
    for number in range(4):
        data = log(number, metadata=Json({"i": number, "s": f"text{number}", "in": {"l": [number]}}), request_tags=Json(["t", number]))
        await db.litellm_spendlogs.create(data=data)

    async def ids(where):
        return [row.request_id for row in await db.litellm_spendlogs.find_many(where=where, order={"request_id": "asc"})]

    equal = lambda number: {"metadata": {"path": ["i"], "equals": Json(number)}}
    assert await ids(equal(1)) == ["r1"]
    assert await ids({"OR": [equal(0), {"AND": [equal(2), {"spend": {"gt": 0.5}}]}]}) == ["r0", "r2"]
    assert await ids({"NOT": [equal(1), {"request_tags": {"array_contains": Json([3])}}]}) == ["r0", "r2"]
    assert await ids({"metadata": {"path": ["s"], "string_contains": "xt3"}}) == ["r3"]
    assert await ids({"metadata": {"path": ["i"], "gte": Json(2)}}) == ["r2", "r3"]
    assert await ids({"metadata": {"path": ["in", "l"], "array_contains": Json([2])}}) == ["r2"]
    assert await ids({"metadata": {"path": ["i"], "not": Json(1)}}) == ["r0", "r2", "r3"]


@with_client
async def bytes_and_enums_come_back(db):
    content = bytes(range(256))
    row = await db.litellm_managedfilecontenttable.create(data={"content": Base64.encode(content)})
    assert row.content.decode() == content
    assert bytes(one('select content from "LiteLLM_ManagedFileContentTable"')) == content
    ttl = datetime.datetime.now(UTC)
    job = await db.litellm_cronjob.create(data={"pod_id": "p", "ttl": ttl})
    assert job.status == "INACTIVE"
    changed = await db.litellm_cronjob.update(where={"cronjob_id": job.cronjob_id}, data={"status": "ACTIVE"})
    assert changed.status == "ACTIVE" and await db.litellm_cronjob.count(where={"status": "ACTIVE"}) == 1


@with_client
async def rows_are_changed_counted_and_deleted(db):
    table = db.litellm_budgettable
    await table.create(data={**WHO, "budget_id": "t", "max_budget": 1.0, "allowed_models": ["a"]})
    changed = await table.update(where={"budget_id": "t"}, data={"max_budget": {"increment": 2.5}, "allowed_models": {"push": ["b"]}})
    assert (changed.max_budget, changed.allowed_models) == (3.5, ["a", "b"])
    nulled = await table.update(where={"budget_id": "t"}, data={"max_budget": None})
    assert nulled.max_budget is None
    for expected in ("a", "c"):
        upsert = {"create": {**WHO, "budget_id": "u", "updated_by": "a"}, "update": {"updated_by": "c"}}
        assert (await table.upsert(where={"budget_id": "u"}, data=upsert)).updated_by == expected
    assert await table.update(where={"budget_id": "nobody"}, data={"max_budget": 1}) is None
    assert await table.find_unique(where={"budget_id": "nobody"}) is None
    assert await table.delete(where={"budget_id": "nobody"}) is None
    assert await table.update_many(where={"budget_id": {"in": ["t", "u", "x"]}}, data={"soft_budget": 3}) == 2
    assert (await table.delete(where={"budget_id": "u"})).soft_budget == 3
    assert await table.delete_many() == 1
    made = await db.litellm_spendlogs.create_many(data=[log(1), log(2), log(2)], skip_duplicates=True)
    assert made == 2 and await db.litellm_spendlogs.count() == 2


@with_client
async def pages_orders_groups_and_sums(db):
    await db.litellm_spendlogs.create_many(data=[log(number, model="ab"[number % 2]) for number in range(6)])
    page = await db.litellm_spendlogs.find_many(order=[{"model": "asc"}, {"startTime": "desc"}], skip=1, take=3)
    assert [row.request_id for row in page] == ["r2", "r0", "r5"]
    rest = await db.litellm_spendlogs.find_many(cursor={"request_id": "r4"}, order={"request_id": "asc"})
    assert [row.request_id for row in rest] == ["r4", "r5"]
    groups = await db.litellm_spendlogs.group_by(by=["model"], sum={"spend": True}, count=True, order={"model": "asc"})
    assert [(row["model"], row["_sum"]["spend"], row["_count"]["_all"]) for row in groups] == [("a", 3.0, 3), ("b", 4.5, 3)], groups
    assert await db.litellm_spendlogs.count(where={"spend": {"gte": 1, "lt": 2}}) == 2
    found = await db.litellm_spendlogs.find_many(where={"model": {"contains": "A", "mode": "insensitive"}, "request_id": {"not_in": ["r0"]}})
    assert len(found) == 2


@with_client
async def relations_are_made_read_and_filtered(db):
    await db.litellm_budgettable.create(data={**WHO, "budget_id": "t", "max_budget": 4})
    for number in range(3):
        data = {"token": f"k{number}", "spend": number, "metadata": Json({"n": number}), "litellm_budget_table": {"connect": {"budget_id": "t"}}}
        key = await db.litellm_verificationtoken.create(data=data, include={"litellm_budget_table": True})
        assert key.litellm_budget_table.max_budget == 4 and key.metadata == {"n": number}
    budget = await db.litellm_budgettable.find_unique(
        where={"budget_id": "t"},
        include={"keys": {"where": {"metadata": {"path": ["n"], "gte": Json(1)}}, "order_by": {"token": "desc"}, "take": 5}},
    )
    assert [key.token for key in budget.keys] == ["k2", "k1"]
    filters = {"litellm_budget_table": {"is": {"max_budget": {"gt": 3}}}, "spend": {"gt": 0}}
    assert await db.litellm_verificationtoken.count(where=filters) == 2
    assert await db.litellm_budgettable.count(where={"keys": {"some": {"metadata": {"equals": Json({"n": 2})}}}}) == 1
    nested = {**WHO, "budget_id": "v", "keys": {"create": [{"token": "k9", "metadata": Json(["x"])}]}}
    made = await db.litellm_budgettable.create(data=nested, include={"keys": True})
    assert made.keys[0].metadata == ["x"] and one("""select metadata->>0 from "LiteLLM_VerificationToken" where token = 'k9'""") == "x"


@with_client
async def sql_takes_parameters_and_gives_every_type(db):
    [row] = await db.query_raw(
        """select 3::bigint b, 2::int i, 1::smallint s, 1.50::numeric n, 0.1::float8 f, 0.5::float4 g, $1::text t, $2::int p, true o, null::text z,
        '{"a":[1]}'::jsonb j, '[1]'::json k, '"s"'::jsonb q, array[1,null,2]::bigint[] w, array['a',null]::text[] x, current_date d, '01:02:03'::time m,
        '\\x00ff'::bytea y, 'a'::"char" c, 'n'::name e, array['n']::name[] l, '00000000-0000-0000-0000-000000000001'::uuid u, '10.0.0.1'::inet h""",
        TRICKY, 5,
    )  # fmt: skip
    assert (row["b"], row["i"], row["s"], row["n"], row["f"], row["g"]) == (3, 2, 1, 1.5, 0.1, 0.5), row
    assert (row["t"], row["p"], row["o"], row["z"]) == (TRICKY, 5, True, None)
    assert (row["j"], row["k"], row["q"]) == ({"a": [1]}, [1], "s"), (row["j"], row["k"], row["q"])
    assert (row["w"], row["x"], row["l"]) == ([1, None, 2], ["a", None], ["n"])
    assert (row["c"], row["e"], row["u"], row["h"], row["m"]) == ("a", "n", "00000000-0000-0000-0000-000000000001", "10.0.0.1", "01:02:03")
    assert Base64(row["y"]).decode() == b"\x00\xff"
    assert row["d"][:10] == datetime.datetime.now(UTC).date().isoformat()
    await db.litellm_verificationtoken.create_many(data=[{"token": token} for token in "abc"])
    update = 'update "LiteLLM_VerificationToken" set spend = spend + $1, metadata = $3::jsonb, expires = $4::timestamp where token = any($2)'
    moment = datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert await db.execute_raw(update, 0.25, ["a", "c", "z"], '{"a": 1}', moment) == 2
    assert sql('select distinct spend, metadata, expires::text from "LiteLLM_VerificationToken" where spend > 0') == [(0.25, {"a": 1}, "2026-01-01 00:00:00")]
    typed = await db.query_raw('select * from "LiteLLM_VerificationToken" where token = $1', "a", model=type(await db.litellm_verificationtoken.find_first()))
    assert typed[0].spend == 0.25 and typed[0].metadata == {"a": 1}
    assert await db.query_first("select 1 as x where false") is None


@with_client
async def a_hundred_queries_at_once_are_answered_each_by_its_own(db):
    await db.litellm_spendlogs.create_many(data=[log(0, request_id=f"q{number}", spend=number) for number in range(100)])
    rows = await asyncio.gather(*[db.litellm_spendlogs.find_unique(where={"request_id": f"q{number}"}) for number in range(100)])
    assert [row.spend for row in rows] == list(range(100))
    add = {"spend": {"increment": 1}}
    await asyncio.gather(*[db.litellm_spendlogs.update(where={"request_id": "q0"}, data=add) for _ in range(50)])
    assert one("""select spend from "LiteLLM_SpendLogs" where request_id = 'q0'""") == 50


@with_client
async def a_large_value_passes(db):
    text = (TRICKY + "x" * 1000) * 2000
    row = await db.litellm_spendlogs.create(data=log(1, messages=Json({"text": text})))
    assert row.messages["text"] == text
    assert (one('select length(messages->>%s) from "LiteLLM_SpendLogs"', "text")) == len(text)
    await raised(db.litellm_spendlogs.create(data=log(2, model="\u0000")))

