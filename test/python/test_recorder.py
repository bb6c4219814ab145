"""Every request has its lines and its record in the counter, whatever becomes of it."""

import asyncio
import base64
import gzip
import hashlib
import json

import pytest

from support import App, Client, answer, data, lines_of, stream
from trajectory_recorder import HEADER, Recorder, told

BODY = b'{"model": "m",  "messages": [{"role":"user","content":"hi"}], "n": 1.0}'
SAID = {"object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "pong"}}]}
OK = {"litellm_call_id": "call-1", "trace_id": "trace-1", "session_id": "", "model": "openai/m", "model_id": "m@a",
      "custom_llm_provider": "openai", "api_base": "http://user:word@up:1/v1", "response_cost": 0.25, "cache_hit": False,
      "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DENIED = {"error": {"message": "no such key", "type": "auth_error", "code": "401"}}


def failure(number, deployment="m@a"):
    return {"at": 1000.0 + number, "type": "InternalServerError", "message": f"boom {number}", "code": "500",
            "call_id": "call-1", "trace_id": "trace-1", "model_id": deployment, "model": "openai/m", "api_base": None,
            "custom_llm_provider": "openai"}


class Box:
    """A recorder with an application behind it, and the files that it made."""

    def __init__(self, directory, store):
        self.directory = directory
        self.store = store
        self.recorder = Recorder(None, store)

    def call(self, scope):
        return self.recorder.calls[dict(scope["headers"])[HEADER].decode()]

    def succeed(self, scope, event=OK):
        call = self.call(scope)
        call.success = event
        told(call)

    async def ask(self, client, app):
        self.recorder.app = app
        await self.recorder(client.scope, client.receive, client.send)
        return client

    def run(self, client, app):
        asyncio.run(asyncio.wait_for(self.ask(client, app), 20))
        return client

    @property
    def lines(self):
        return lines_of(self.directory)

    @property
    def counted(self):
        return [record for record in lines_of(self.directory, "log.counter.jsonl") if record["kind"] != "start"]


@pytest.fixture
def box(tmp_path, open_store):
    return Box(tmp_path, open_store(job="eval-1", generation="g1"))


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


def chunks(*texts):
    return data(*[{"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts])


def test_a_stream_is_put_together_and_its_first_token_timed(box):
    async def wait(scope):
        await asyncio.sleep(0.05)

    app = App(stream(b": ping\n\n", *chunks("po", "ng"), *data(b"[DONE]")), wait, box.succeed)
    client = box.run(Client(body=b'{"model":"m","stream":true}'), app)
    [line] = box.lines
    assert line["stream"] is True
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "pong"
    assert (line["response"]["complete"], line["response"]["bytes"]) == (True, len(client.body))
    assert 50 <= line["first_token_ms"] <= line["duration_ms"]


def test_a_stream_of_many_chunks_is_put_together(box):
    texts = [f"{number} " for number in range(20_000)]
    box.run(Client(body=b'{"stream":true}'), App(stream(*chunks(*texts), *data(b"[DONE]")), after=box.succeed))
    assert box.lines[0]["response"]["body"]["choices"][0]["message"]["content"] == "".join(texts)


def test_a_stream_that_lacks_its_end_is_not_complete(box):
    box.run(Client(body=b'{"stream":true}'), App(stream(*chunks("po")), after=box.succeed))
    assert (box.lines[0]["response"]["complete"], box.lines[0]["outcome"]) == (False, "ok")


def test_an_error_inside_a_stream_is_the_error_of_the_line(box):
    app = App(stream(*chunks("po"), *data({"error": {"message": "boom", "type": "server_error", "code": "500"}})))

    def broken(scope):
        box.call(scope).broken = {"litellm_call_id": "call-1", "model_id": "m@a"}
        told(box.call(scope))

    app.after = broken
    box.run(Client(body=b'{"stream":true}'), app)
    [line] = box.lines
    assert (line["outcome"], line["error"]) == ("error", {"type": "server_error", "message": "boom", "code": "500"})


def test_an_error_inside_a_stream_has_no_code_of_its_status(box):
    wrong = {"type": "error", "error": {"type": "api_error", "message": "boom"}}
    app = App(stream(*data(wrong)), after=box.succeed)
    box.run(Client("/v1/messages", b'{"stream":true}'), app)
    assert box.lines[0]["error"] == {"type": "api_error", "message": "boom", "code": None}


def test_a_client_that_hangs_up_in_a_stream_leaves_what_it_received(box):
    start, first, *_ = stream(*chunks("po"))
    client = Client(body=b'{"stream":true}')
    app = App([start, first, None], after=None)

    async def play():
        box.recorder.app = app
        task = asyncio.create_task(box.recorder(client.scope, client.receive, client.send))
        while len(client.got) < 2:
            await asyncio.sleep(0)
        client.gone.set()
        await asyncio.wait_for(task, 20)

    asyncio.run(play())
    [line] = box.lines
    assert (line["outcome"], line["response"]["complete"]) == ("disconnected", False)
    assert line["response"]["body"]["choices"][0]["message"]["content"] == "po"
    assert box.counted[1]["complete"] is False


def test_a_client_that_hung_up_before_its_answer_is_noticed(box):
    box.run(Client(body=BODY, hangs_up="before"), App(answer(200, SAID), after=box.succeed))
    assert (box.lines[0]["outcome"], box.lines[0]["response"]["complete"]) == ("disconnected", False)


def test_a_client_that_hung_up_in_its_own_request_has_a_line_and_reaches_nobody(box):
    app = App(answer(200, SAID))
    box.run(Client(body=BODY, hangs_up="upload"), app)
    assert app.seen == []
    [line] = box.lines
    assert (line["outcome"], line["response"]) == ("disconnected", {"status": None, "complete": False, "bytes": 0, "body": None})
    assert box.counted[0]["complete"] is False


def test_an_application_that_crashes_leaves_a_line(box):
    async def crash(scope):
        raise ValueError("defect")

    with pytest.raises(ValueError):
        box.run(Client(body=BODY), App([], crash))
    assert box.lines[0]["error"] == {"type": "ValueError", "message": "defect", "code": None}


def test_a_request_that_a_stop_cuts_off_leaves_a_line(box):
    start, first, *_ = stream(*chunks("po"))

    async def play():
        client = Client(body=b'{"stream":true}')
        box.recorder.app = App([start, first, None])
        task = asyncio.create_task(box.recorder(client.scope, client.receive, client.send))
        while len(client.got) < 2:
            await asyncio.sleep(0)
        box.recorder.stop()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())
    assert (box.lines[0]["outcome"], box.lines[0]["response"]["complete"]) == ("cancelled", False)
    assert [record["kind"] for record in box.counted] == ["request", "response", "stop"]


def test_a_stop_waits_for_the_line_of_an_answer_whose_callback_is_still_to_come(box):
    async def play():
        client = Client(body=BODY)
        box.recorder.app = App(answer(200, SAID))
        task = asyncio.create_task(box.recorder(client.scope, client.receive, client.send))
        while len(client.got) < 2:
            await asyncio.sleep(0)
        box.recorder.stop()
        assert [record["kind"] for record in box.counted][-1] != "stop"
        [call] = box.recorder.calls.values()
        call.success = OK
        told(call)
        await task

    asyncio.run(play())
    assert box.lines[0]["told"] is True
    assert [record["kind"] for record in box.counted] == ["request", "response", "stop"]


def test_a_stop_without_requests_is_recorded_at_once(box):
    box.recorder.stop()
    assert [record["kind"] for record in box.counted] == ["stop"]


def test_an_answer_that_was_compressed_for_the_client_is_logged_as_it_reads(box):
    packed = gzip.compress(json.dumps(SAID).encode())
    headers = [(b"content-encoding", b"gzip")]
    box.run(Client(body=BODY), App(answer(200, packed, headers=headers), after=box.succeed))
    assert (box.lines[0]["response"]["body"], box.lines[0]["response"]["bytes"]) == (SAID, len(packed))


def test_an_answer_that_is_no_json_is_kept(box):
    app = App(answer(200, b"ID3\x00", "audio/mpeg"), after=box.succeed)
    box.run(Client("/v1/audio/speech", b'{"model":"m","input":"hi"}'), app)
    assert base64.b64decode(box.lines[0]["response"]["body_base64"]) == b"ID3\x00"


@pytest.mark.parametrize(
    ("path", "protocol", "route"),
    [
        ("/v1/messages", "anthropic", "messages"),
        ("/v1/messages/count_tokens", "anthropic", "messages/count_tokens"),
        ("/chat/completions", "openai", "chat/completions"),
        ("/v1/completions", "openai", "completions"),
        ("/v1/responses", "openai", "responses"),
        ("/engines/a/b/chat/completions", "openai", "chat/completions"),
        ("/openai/deployments/m/embeddings", "openai", "embeddings"),
        ("/v2/rerank", "cohere", "rerank"),
    ],
)
def test_every_route_of_models_is_logged(box, path, protocol, route):
    box.run(Client(path, BODY), App(answer(400, DENIED)))
    assert [(line["protocol"], line["route"], line["request"]["path"]) for line in box.lines] == [(protocol, route, path)]


@pytest.mark.parametrize("path", ["/key/generate", "/health/liveliness", "/v1/models", "/v1/messages/batches"])
def test_routes_that_are_no_calls_of_models_are_passed_on_untouched(box, path):
    app = App(answer(200, {}))
    client = box.run(Client(path, b'{"key":"x"}'), app)
    assert (client.status, box.lines, box.counted) == (200, [], [])
    assert app.seen[0][0] is client.scope


def test_a_websocket_is_counted_as_what_is_not_logged(box):
    async def app(scope, receive, send):
        pass

    box.run(Client("/v1/responses", kind="websocket"), app)
    [record] = box.counted
    assert (record["kind"], record["path"], box.lines) == ("websocket", "/v1/responses", [])


@pytest.mark.parametrize(
    ("headers", "body", "session"),
    [
        ([(b"x-litellm-session-id", b"a")], {"metadata": {"session_id": "b"}}, "a"),
        ([(b"x-claude-code-session-id", b"e96634a3")], {}, "e96634a3"),
        ([(b"x-session-id", b"oc-1")], {}, "oc-1"),
        ([], {"litellm_session_id": "c"}, "c"),
        ([], {"metadata": {"session_id": "d"}}, "d"),
        ([], {"metadata": {"user_id": "user_1_account__session_0123-ab"}}, "0123-ab"),
        ([], {"metadata": {"user_id": "somebody"}}, None),
        ([], {"metadata": "text"}, None),
    ],
)
def test_the_session_is_that_which_the_client_says(box, headers, body, session):
    box.run(Client(body=json.dumps(body).encode(), headers=headers), App(answer(200, SAID), after=box.succeed))
    assert box.lines[0]["session_id"] == session


def test_a_log_that_cannot_be_written_refuses_in_the_protocol_of_the_client(box, monkeypatch):
    monkeypatch.setattr(box.store, "admit", lambda *_: "No space left on device")
    app = App(answer(200, SAID))
    openai = box.run(Client(body=BODY), app)
    anthropic = box.run(Client("/v1/messages", BODY), app)
    assert (openai.status, anthropic.status, app.seen) == (503, 503, [])
    assert dict(openai.got[0]["headers"])[b"retry-after"] == b"5"
    message = "The trajectory log cannot be written (No space left on device), and this gateway takes no request without it."
    error = {"message": message, "type": "service_unavailable", "code": "trajectory_log"}
    assert json.loads(openai.body) == {"error": error}
    assert json.loads(anthropic.body) == {"type": "error", "error": {"type": "overloaded_error", "message": message}}


def test_requests_are_numbered_in_the_order_of_their_coming(box):
    async def play():
        clients = [Client(body=b'{"n":%d}' % number) for number in range(50)]
        await asyncio.gather(*[box.ask(client, App(answer(400, DENIED))) for client in clients])

    asyncio.run(play())
    counted = [record for record in box.counted if record["kind"] == "request"]
    assert [record["seq"] for record in counted] == list(range(1, 51))
    assert {line["seq"]: line["id"] for line in box.lines} == {record["seq"]: record["id"] for record in counted}
