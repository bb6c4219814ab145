"""However an answer ends, its line says how: streams, clients that hang up, stops, crashes."""

import asyncio
import base64
import gzip
import json

import pytest

from box import BODY, DENIED, OK, SAID
from support import App, Client, answer, data, stream
from trajectory_recorder import told


def chunks(*texts):
    return data(*[{"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts])


def test_a_stream_is_put_together_and_its_first_token_timed(box):
    async def wait(scope):
        await asyncio.sleep(0.05)  # pause: the time that is measured

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


@pytest.mark.parametrize(("disconnected", "outcome"), [(True, "disconnected"), (False, "ok")])
def test_what_uvicorn_knows_of_its_client_is_asked_first(box, disconnected, outcome):
    client = Client(body=BODY)
    client.disconnected = disconnected
    box.run(client, App(answer(200, SAID), after=box.succeed))
    assert [line["outcome"] for line in box.lines] == [outcome]


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
        ("/v1/responses/compact", "openai", "responses/compact"),
        ("/openai/v1/responses/input_tokens", "openai", "responses/input_tokens"),
        ("/v1beta/models/m:generateContent", "google", "generateContent"),
        ("/models/a/b:streamGenerateContent", "google", "streamGenerateContent"),
        ("/v1beta/models/m:countTokens", "google", "countTokens"),
        ("/v1beta/interactions", "google", "interactions"),
        ("/interactions", "google", "interactions"),
        ("/v1/ocr", "openai", "ocr"),
        ("/v1/videos", "openai", "videos"),
        ("/videos/edits", "openai", "videos/edits"),
        ("/v1/videos/video_1/remix", "openai", "videos/remix"),
        ("/v1/rag/query", "openai", "rag/query"),
        ("/v1/decisions", "openai", "decisions"),
        ("/systemone", "openai", "systemone"),
    ],
)
def test_every_route_of_models_is_logged(box, path, protocol, route):
    box.run(Client(path, BODY), App(answer(400, DENIED)))
    assert [(line["protocol"], line["route"], line["request"]["path"]) for line in box.lines] == [(protocol, route, path)]


@pytest.mark.parametrize(
    "path",
    [
        "/key/generate",
        "/health/liveliness",
        "/v1/models",
        "/v1/messages/batches",
        "/v1/responses/resp_1/cancel",
        "/interactions/i_1/cancel",
        "/v1/videos/characters",
        "/v1/search",
    ],
)
def test_routes_that_are_no_calls_of_models_are_passed_on_untouched(box, path):
    app = App(answer(200, {}))
    client = box.run(Client(path, b'{"key":"x"}'), app)
    assert (client.status, box.lines, box.counted) == (200, [], [])
    assert app.seen[0][0] is client.scope


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/realtime", "/vertex_ai/live", "/deepgram/v1/listen"])
def test_a_websocket_is_counted_as_what_is_not_logged(box, path):
    async def app(scope, receive, send):
        pass

    box.run(Client(path, kind="websocket"), app)
    [record] = box.counted
    assert (record["kind"], record["path"], box.lines) == ("websocket", path, [])


@pytest.mark.parametrize(
    ("path", "stream"),
    [("/v1beta/models/a/b:generateContent", False), ("/models/a/b:streamGenerateContent", True)],
)
def test_google_s_model_is_that_of_the_path(box, path, stream):
    box.run(Client(path, b'{"contents":[{"parts":[{"functionCall":{"args":{"password":"said"}}}]}]}'), App(answer(400, DENIED)))
    [line] = box.lines
    assert (line["model"], line["stream"]) == ("a/b", stream)
    # What is said to the model is logged.
    assert line["request"]["body"]["contents"][0]["parts"][0]["functionCall"]["args"] == {"password": "said"}


def test_google_s_usage_is_known_from_the_wire(box):
    usage = {"promptTokenCount": 8, "candidatesTokenCount": 1, "totalTokenCount": 9}
    box.run(Client("/models/m:generateContent", b"{}"), App(answer(200, {"usageMetadata": usage})))
    assert box.lines[0]["usage"] == {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9}


def test_a_model_that_is_no_name_does_not_break_the_line(box):
    box.run(Client(body=b'{"model":true}'), App(answer(400, DENIED)))
    assert box.lines[0]["model"] is None


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/responses/input_tokens", "/models/m:countTokens"])
def test_counts_of_tokens_wait_for_nothing(box, monkeypatch, path):
    async def settle(call):
        pytest.fail("it waited")

    monkeypatch.setattr(box.recorder, "_settle", settle)
    box.run(Client(path, BODY), App(answer(200, {})))
    assert box.lines[0]["outcome"] == "ok"


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
    google = box.run(Client("/v1beta/models/m:generateContent", BODY), app)
    assert (openai.status, anthropic.status, google.status, app.seen) == (503, 503, 503, [])
    assert dict(openai.got[0]["headers"])[b"retry-after"] == b"5"
    message = "The trajectory log cannot be written (No space left on device), and this gateway takes no request without it."
    error = {"message": message, "type": "service_unavailable", "code": "trajectory_log"}
    assert json.loads(openai.body) == {"error": error}
    assert json.loads(anthropic.body) == {"type": "error", "error": {"type": "overloaded_error", "message": message}}
    assert json.loads(google.body) == {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}


def test_requests_are_numbered_in_the_order_of_their_coming(box):
    async def play():
        clients = [Client(body=b'{"n":%d}' % number) for number in range(50)]
        await asyncio.gather(*[box.ask(client, App(answer(400, DENIED))) for client in clients])

    asyncio.run(play())
    counted = [record for record in box.counted if record["kind"] == "request"]
    assert [record["seq"] for record in counted] == list(range(1, 51))
    assert {line["seq"]: line["id"] for line in box.lines} == {record["seq"]: record["id"] for record in counted}
