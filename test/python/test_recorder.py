"""Every request has its lines and its record in the counter, whatever becomes of it."""

import base64
import hashlib
import json

import pytest

from box import BODY, DENIED, SAID, failure
from support import App, Client, answer, stream
from trajectory_recorder import HEADER, told


def test_a_request_is_logged_as_it_came_and_went(box):
    headers = [
        (b"authorization", b"Bearer sk-client-0123456789"),
        (b"user-agent", b"harness/1"),
        (b"x-litellm-session-id", b"s-1"),
        (b"x-other", b"1"),
        (HEADER, b"a client's own"),
    ]
    app = App(answer(200, SAID), after=box.succeed)
    client = box.run(Client(body=BODY, headers=headers, parts=3), app)
    [(scope, body)] = app.seen
    assert (client.status, json.loads(client.body), body) == (200, SAID, BODY)
    [line] = box.lines
    request, response = box.counted
    assert [value for name, value in scope["headers"] if name == HEADER] == [line["id"].encode()]
    times = {name: line.pop(name) for name in ("started_at", "ended_at", "duration_ms")}
    assert times["started_at"] < times["ended_at"] and times["duration_ms"] > 0
    assert line == {
        "schema": 1,
        "id": request["id"],
        "attempt": 1,
        "final": True,
        "seq": 1,
        "process": box.store.process,
        "job": "eval-1",
        "generation": "g1",
        "call_id": "call-1",
        "trace_id": "trace-1",
        "session_id": "s-1",
        "first_token_ms": None,
        "protocol": "openai",
        "route": "chat/completions",
        "model": "m",
        "stream": False,
        "outcome": "ok",
        "error": None,
        "upstream": {"deployment": "m@a", "model": "openai/m", "provider": "openai", "api_base": "http://up:1/v1"},
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        "cost": 0.25,
        "cache_hit": False,
        "told": True,
        "request": {
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": {"user-agent": "harness/1", "x-litellm-session-id": "s-1"},
            "redacted": False,
            "body": json.loads(BODY),
        },
        "response": {"status": 200, "complete": True, "bytes": len(client.body), "body": SAID},
    }
    at = request.pop("at")
    assert at == times["started_at"]
    assert request == {
        "kind": "request",
        "id": line["id"],
        "seq": 1,
        "method": "POST",
        "path": "/v1/chat/completions",
        "bytes": len(BODY),
        "sha256": hashlib.sha256(BODY).hexdigest(),
    }
    assert response == {
        "kind": "response",
        "id": line["id"],
        "at": times["ended_at"],
        "status": 200,
        "bytes": len(client.body),
        "complete": True,
    }


def test_the_body_stands_in_the_line_byte_for_byte(box):
    box.run(Client(body=BODY), App(answer(200, SAID), after=box.succeed))
    assert b'"body":' + BODY + b"}" in (box.directory / "log.jsonl").read_bytes()


def test_a_body_with_line_breaks_is_one_line_and_its_hash_is_counted(box):
    body = b'{\r\n "model": "m",\n "messages": ["a\\nb"]\n}'
    box.run(Client(body=body), App(answer(200, SAID), after=box.succeed))
    flat = body.replace(b"\r", b" ").replace(b"\n", b" ")
    assert flat in (box.directory / "log.jsonl").read_bytes()
    assert box.lines[0]["request"]["body"] == json.loads(body)
    request = box.counted[0]
    assert request["sha256"] == hashlib.sha256(body).hexdigest()
    assert request["logged_sha256"] == hashlib.sha256(flat).hexdigest()


@pytest.mark.parametrize("body", [b"", b'{"model":', b"\xff\x00\n", b"--b\r\nform\r\n", b'{"n": NaN}'])
def test_a_body_that_is_no_json_is_kept_all_the_same(box, body):
    box.run(Client(body=body), App(answer(400, DENIED)))
    request = box.lines[0]["request"]
    assert "body" not in request
    assert base64.b64decode(request["body_base64"]) == body
    assert box.counted[0]["sha256"] == hashlib.sha256(body).hexdigest()


def test_images_are_kept_whole(box):
    url = "data:image/png;base64," + "A" * 3_000_000
    body = json.dumps({"messages": [{"content": [{"type": "image_url", "image_url": {"url": url}}]}]}).encode()
    box.run(Client(body=body, parts=50), App(answer(200, SAID), after=box.succeed))
    assert box.lines[0]["request"]["body"]["messages"][0]["content"][0]["image_url"]["url"] == url


def test_each_attempt_has_a_line_and_the_last_one_has_the_answer(box):
    async def fail_twice(scope):
        for number in (1, 2):
            box.call(scope).starts.append(1000.0 + number - 0.5)
            box.call(scope).fail(failure(number))
        box.call(scope).starts.append(1002.5)

    box.run(Client(body=BODY), App(answer(200, SAID), fail_twice, box.succeed))
    assert [(line["attempt"], line["final"], line["outcome"]) for line in box.lines] == [
        (1, False, "error"),
        (2, False, "error"),
        (3, True, "ok"),
    ]
    assert [line["error"] and line["error"]["message"] for line in box.lines] == ["boom 1", "boom 2", None]
    assert [line["response"] is None for line in box.lines] == [True, True, False]
    assert box.lines[1]["duration_ms"] == 500
    assert {json.dumps(line["request"]) for line in box.lines} == {json.dumps(box.lines[0]["request"])}


def test_a_request_whose_attempts_all_failed_ends_with_the_last_of_them(box):
    async def fail_twice(scope):
        for number in (1, 2):
            box.call(scope).starts.append(1000.0)
            box.call(scope).fail(failure(number))

    wrong = {"error": {"message": "all failed", "type": "server_error", "code": "500"}}
    box.run(Client(body=BODY), App(answer(500, wrong), fail_twice))
    assert [(line["attempt"], line["final"], line["error"]["message"]) for line in box.lines] == [
        (1, False, "boom 1"),
        (2, True, "all failed"),
    ]
    assert box.lines[1]["upstream"]["deployment"] == "m@a"


def test_a_failure_that_litellm_tells_twice_is_one_attempt(box):
    async def fail(scope):
        box.call(scope).starts.append(1000.0)
        box.call(scope).fail(failure(1))
        box.call(scope).fail(failure(2))

    box.run(Client(body=BODY), App(answer(404, DENIED), fail))
    assert [line["attempt"] for line in box.lines] == [1]


def test_words_that_are_no_text_do_not_cost_the_line(box):
    async def fail(scope):
        box.call(scope).fail({**failure(1), "message": "half \ud83d", "custom_llm_provider": 2**70})

    box.run(Client(body=BODY), App(answer(500, b""), fail))
    assert box.lines[0]["error"]["message"] == "half \ud83d"


def test_a_refused_key_is_a_line_without_an_upstream(box):
    client = box.run(Client(body=BODY), App(answer(401, DENIED)))
    [line] = box.lines
    assert (client.status, line["outcome"], line["upstream"], line["told"]) == (401, "error", None, False)
    assert line["error"] == {"type": "auth_error", "message": "no such key", "code": "401"}


def test_an_answer_whose_callback_never_comes_has_its_line_from_the_wire(box):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    headers = [(b"x-litellm-call-id", b"c-9"), (b"x-litellm-model-id", b"m@a"), (b"x-litellm-response-cost", b"0.5")]
    box.run(Client(body=BODY), App(answer(200, {**SAID, "usage": usage}, headers=headers)))
    [line] = box.lines
    assert (line["told"], line["outcome"], line["usage"], line["cost"], line["call_id"]) == (False, "ok", usage, 0.5, "c-9")
    assert line["upstream"] == {"deployment": "m@a", "model": None, "provider": None, "api_base": None}
    # Nobody said a trace: it is one of its own.
    assert line["trace_id"] == line["id"]


def test_the_record_of_the_answer_comes_before_the_wait_for_the_callback(box):
    seen = []
    app = App(answer(200, SAID), after=lambda scope: seen.append((len(box.counted), len(box.lines))) or box.succeed(scope))
    box.run(Client(body=BODY), app)
    assert seen == [(2, 0)]


@pytest.mark.parametrize("messages", [answer(200, SAID), stream(b"data: [DONE]\n\n")])
def test_an_answer_is_on_record_before_the_client_has_all_of_it(box, messages):
    client = Client(body=BODY)
    seen = []

    async def send(message):
        seen.append((message.get("more_body"), [record["kind"] for record in box.counted][1:]))

    client.send = send
    box.run(client, App(messages))
    assert seen[-1] == (None, ["response"])
    assert all(records == [] for _, records in seen[:-1])
    assert [record["kind"] for record in box.counted] == ["request", "response"]
