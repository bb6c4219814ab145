import asyncio
import json

import orjson
import pytest
from guard import Guarded, stream
from hypothesis import given
from hypothesis import strategies as st
from support import data

BODY = b'{"model": "m",  "messages": [1.0, "\\u00e9"]}'
JSON = [(b"content-type", b"application/json")]
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
FORM = (b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\nvalue\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--x--\r\n')
FORM_HEADERS = [(b"content-type", b"multipart/form-data; boundary=x")]


def ask(guarded, *args, **about):
    return asyncio.run(guarded.ask(*args, **about))


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("path", [CHAT, "/chat/completions", CHAT + "/", "/engines/m/chat/completions", MESSAGES])
def test_a_good_body_goes_on_byte_for_byte(path, parts):
    guarded = Guarded()
    client = ask(guarded, path, BODY, JSON, parts=parts)
    scope, body = guarded.app.seen[0]
    assert (client.status, body) == (200, BODY)
    assert dict(scope["headers"])[b"content-length"] == str(len(BODY)).encode()


@given(st.binary(max_size=64), st.sampled_from([CHAT, MESSAGES]))
def test_no_bytes_reach_the_application_that_are_no_json_object(raw, path):
    guarded = Guarded()
    client = ask(guarded, path, raw, JSON)
    if guarded.app.seen:
        assert isinstance(orjson.loads(guarded.app.seen[0][1]), dict)
    else:
        assert client.status == 400
        said = json.loads(client.body)
        assert said["error"]["type"] == "invalid_request_error"
        assert (said.get("type") == "error") == (path == MESSAGES)


@given(st.lists(st.tuples(st.sampled_from(["model", "temperature", "api_base", "colour"]), st.text(max_size=3)), max_size=5))
def test_of_a_name_that_stands_twice_the_application_sees_what_the_guard_saw(pairs):
    raw = ("{" + ",".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}").encode()
    guarded = Guarded()
    ask(guarded, CHAT, raw, JSON)
    seen = [orjson.loads(body) for _, body in guarded.app.seen]
    assert all(set(body) <= {"model", "temperature"} for body in seen)
    assert bool(seen) == (not any(name == "api_base" or name == "model" and "," in value for name, value in _last(pairs)))


ALIVE = "/health/liveliness"


def test_a_gateway_that_lives_says_so_before_its_application_is_asked():
    guarded = Guarded(is_ending=lambda: False)
    client = ask(guarded, ALIVE, method="GET")
    assert (client.status, client.body, guarded.app.seen) == (200, b'"I\'m alive!"', [])


@pytest.mark.parametrize(("path", "method", "is_ending"), [
    (ALIVE, "GET", lambda: True),
    (ALIVE, "GET", None),
    (ALIVE, "HEAD", lambda: False),
    (ALIVE, "POST", lambda: False),
    ("/health/readiness", "GET", lambda: False),
    (ALIVE + "/", "GET", lambda: False),
])
def test_whatever_else_is_asked_of_its_health_the_application_answers(path, method, is_ending):
    guarded = Guarded(is_ending=is_ending)
    assert (json.loads(ask(guarded, path, method=method).body), len(guarded.app.seen)) == ({"ok": True}, 1)


def _last(pairs):
    return dict(pairs).items()


def test_what_only_python_takes_for_json_goes_on_as_json():
    guarded = Guarded()
    ask(guarded, CHAT, b'{"model": "m", "temperature": NaN}', JSON)
    assert guarded.app.seen[0][1] == b'{"model":"m","temperature":null}'


@pytest.mark.parametrize("headers", [[(b"content-type", b"text/plain")], [], [(b"Content-Type", b"application/x-protobuf")]])
def test_json_goes_on_as_json_whatever_the_client_called_it(headers):
    guarded = Guarded()
    ask(guarded, CHAT, BODY, headers)
    kinds = [value for name, value in guarded.app.seen[0][0]["headers"] if name.lower() == b"content-type"]
    assert kinds == [b"application/json"]


def test_two_kinds_of_content_are_refused():
    guarded = Guarded()
    client = ask(guarded, CHAT, BODY, [*JSON, (b"Content-Type", b"multipart/form-data; boundary=x")])
    assert (client.status, guarded.app.seen) == (400, [])


@pytest.mark.parametrize("field,status", [(b"language", 200), (b"api_base", 400), (b"metadata[tags]", 400), (b"colour", 400)])
def test_a_form_goes_on_byte_for_byte_or_not_at_all(field, status):
    guarded = Guarded()
    raw = FORM % (field, bytes(range(256)))
    client = ask(guarded, "/v1/audio/transcriptions", raw, FORM_HEADERS, parts=3)
    assert (client.status, [body for _, body in guarded.app.seen]) == (status, [raw] if status == 200 else [])


def test_a_form_is_taken_on_no_other_route():
    guarded = Guarded()
    client = ask(guarded, CHAT, FORM % (b"language", b""), FORM_HEADERS)
    assert (client.status, guarded.app.seen) == (400, [])


def test_header_fields_and_queries_of_litellm_stay_behind():
    guarded = Guarded()
    steering = [(b"X-LiteLLM-Timeout", b"1"), (b"x-pass-host", b"h"), (b"langfuse_host", b"h"), (b"cache-control", b"s-maxage=9")]
    kept = [(b"authorization", b"Bearer k"), (b"x-litellm-session-id", b"s"), (b"traceparent", b"t"), (b"x-gpubox-request-id", b"1")]
    ask(guarded, CHAT, BODY, [*steering, *kept], query=b"model=other")
    scope, _ = guarded.app.seen[0]
    assert scope["query_string"] == b""
    assert [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")] == kept


def test_other_routes_are_left_alone():
    guarded = Guarded()
    ask(guarded, "/key/generate", b'{"api_base": 1}', JSON, query=b"a=b")
    scope, body = guarded.app.seen[0]
    assert (scope["query_string"], body) == (b"a=b", b'{"api_base": 1}')


@pytest.mark.parametrize("method,path", [("GET", "/v1/responses/r"), ("DELETE", "/responses/r"), ("POST", "/v1/responses/r/cancel")])
def test_an_answer_that_is_kept_is_asked_for_without_a_body(method, path):
    guarded = Guarded()
    client = ask(guarded, path, b'{"custom_llm_provider": "x"}', JSON, method=method)
    assert (client.status, guarded.app.seen) == (400, [])
    ask(guarded, path, b"", query=b"custom_llm_provider=x&limit=2&include%5B%5D=a", method=method)
    assert guarded.app.seen[0][0]["query_string"] == b"limit=2&include%5B%5D=a"


def test_no_websocket_is_opened():
    guarded = Guarded()
    client = ask(guarded, "/v1/responses", kind="websocket")
    assert ([message["type"] for message in client.got], guarded.app.seen) == (["websocket.close"], [])


@pytest.mark.parametrize("hangs_up", ["before", "upload"])
def test_a_client_that_hangs_up_asks_nothing(hangs_up):
    guarded = Guarded()
    client = ask(guarded, CHAT, BODY if hangs_up == "upload" else b"", JSON, hangs_up=hangs_up)
    assert [body for _, body in guarded.app.seen] == [] or client.got == []


ENDS = {
    CHAT: [b"data: [DONE]\n\n", b'data: {"error": {"message": "no"}}\n\n'],
    MESSAGES: [b'event: message_stop\ndata: {"type":"message_stop"}\n\n', b'data: {"type": "message_stop"}\n\n',
               b'event: error\ndata: {"type":"error"}\n\n'],
    "/v1/responses": [b'event: response.completed\ndata: {}\n\n', b'data: {"type":"response.incomplete"}\n\n', b"data: [DONE]\n\n"],
}
CASES = [(path, end) for path, ends in ENDS.items() for end in ends]
BEGIN = data({"choices": [{"delta": {"content": "data: [DONE]\n\nevent: message_stop\n"}}]}, {"type": "delta"})


def streamed(path, chunks):
    return ask(Guarded(stream(*chunks)), path, b'{"model":"m"}', JSON)


@pytest.mark.parametrize("path,end", CASES)
@given(cuts=st.lists(st.integers(0, 400), max_size=6))
def test_a_whole_stream_is_passed_on_as_it_is_however_it_is_cut_into_chunks(path, end, cuts):
    raw = b"".join([*BEGIN, end])
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    chunks = [raw[start:stop] for start, stop in zip(places, places[1:])]
    assert streamed(path, chunks).body == raw


@pytest.mark.parametrize("path", ENDS)
@given(cut=st.integers(0, 300))
def test_a_stream_that_ends_anywhere_before_its_end_ends_in_an_error(path, cut):
    raw = b"".join(BEGIN)[:cut]
    body = streamed(path, [raw] if raw else []).body
    whole = raw[: raw.rfind(b"\n") + 1]
    assert body.startswith(whole)
    rest = body[len(whole) :].strip().split(b"\n")
    said = json.loads(rest[-1].removeprefix(b"data: "))
    assert "complete" in (said.get("error") or said)["message"]
    assert (rest[0] == b"event: error") == (path != CHAT)


@pytest.mark.parametrize("path", ENDS)
def test_an_answer_that_is_no_stream_is_passed_on(path):
    assert ask(Guarded(), path, b'{"model":"m"}', JSON).body == b'{"ok": true}'
