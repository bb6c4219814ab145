import asyncio
import base64
import gzip
import json

import pytest
from guard import Guarded, answer
from hypothesis import given
from hypothesis import strategies as st
from support import Client

JSON = [(b"content-type", b"application/json")]


def text(status, body, kind=b"text/plain"):
    return [
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), (b"retry-after", b"5")]},
        {"type": "http.response.body", "body": body[:3], "more_body": True},
        {"type": "http.response.body", "body": body[3:]},
    ]


def ask(guarded, *args, **about):
    return asyncio.run(guarded.ask(*args, **about))


@pytest.mark.parametrize(
    "messages,said",
    [
        (text(500, b"Internal Server Error"), "The gateway failed on this request."),
        (text(404, b'{"detail":"Not Found"}', b"application/json"), "Not Found"),
        (text(403, b""), "The gateway did not take this request."),
        (text(502, b"<html>bad</html>", b"text/html"), "The gateway did not take this request."),
        (answer(400, {"detail": {"error": "no such model"}}), "no such model"),
        (answer(422, {"detail": [{"loc": ["body", "file"], "msg": "Field required"}]}), "body.file: Field required"),
        (answer(400, {"error": "only words"}), "only words"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/models/x/y", "/responses/x/y", "/v1/audio/speech"])
def test_every_error_is_in_the_form_of_the_api(messages, said, path):
    client = ask(Guarded(messages), path, b'{"model":"m"}', JSON)
    error = json.loads(client.body)
    assert (client.status, error["error"]["message"]) == (messages[0]["status"], said)
    assert (error.get("type") == "error") == (path == "/v1/messages")
    headers = dict(client.got[0]["headers"])
    assert headers[b"content-length"] == str(len(client.body)).encode()
    assert headers.get(b"retry-after") == dict(messages[0]["headers"]).get(b"retry-after")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
def test_an_error_that_is_in_it_is_passed_on_byte_for_byte(path):
    body = b'{"error":  {"message": "no", "code": "x"}}'
    assert ask(Guarded(text(429, body, b"application/json")), path, b'{"model":"m"}', JSON).body == body


@pytest.mark.parametrize(
    "body,passed",
    [(b'{"error": {"message": "no"}}', True), (b'{"detail": "Not Found"}', False), (b"Internal Server Error" * 50, False)],
)
def test_an_error_that_was_compressed_is_read_as_it_was_and_goes_out_as_its_header_says(body, passed):
    packed = gzip.compress(body)
    headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
    messages = [
        {"type": "http.response.start", "status": 404, "headers": headers},
        {"type": "http.response.body", "body": packed},
    ]
    client = ask(Guarded(messages), "/v1/chat/completions", b'{"model":"m"}', JSON)
    said = dict(client.got[0]["headers"]).get(b"content-encoding")
    assert (said, client.body == packed) == ((b"gzip", True) if passed else (None, False))
    assert "error" in json.loads(gzip.decompress(client.body) if said else client.body)


@pytest.mark.parametrize("path", ["/key/list", "/ui/x", "/model/info"])
def test_what_is_no_client_s_route_keeps_its_own_form(path):
    body = b'{"detail":"Not Found"}'
    assert ask(Guarded(text(404, body)), path, method="GET").body == body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/model/info"])
def test_an_application_that_breaks_is_an_error_in_that_form_too(path):
    guarded = Guarded()

    async def breaks(scope, receive, send):
        raise RuntimeError("secret words")

    guarded.front.app = breaks
    client = Client(path, b'{"model":"m"}', JSON)
    client.scope.update(query_string=b"", method="POST")
    with pytest.raises(RuntimeError):
        asyncio.run(guarded.front(client.scope, client.receive, client.send))
    assert (client.status, json.loads(client.body)["error"]["message"]) == (500, "The gateway failed on this request.")


def kept(inner):
    return "resp_" + base64.b64encode(inner.encode()).decode()


GOOD = ["resp_0123abcdef", "x", "resp-1.2", kept("litellm:custom_llm_provider:openai;model_id:pair@a;response_id:resp_x1=="), kept("no such")]
EVIL = ["..", "x?y", "x#y", "x%2f", "x y", "x;y", "é"] + [
    kept(f"litellm:custom_llm_provider:openai;model_id:far;response_id:{part}")
    for part in ["../models", "..", "?x", "x/../../y", "x#", "http://x", "", "x;response_id:../y", "x\r\ny", "%2e%2e%2fx"]
]


@pytest.mark.parametrize("method,rest", [("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")])
def test_an_id_that_is_no_id_at_the_server_goes_no_further(method, rest):
    for given_id in EVIL:
        guarded = Guarded()
        client = ask(guarded, f"/v1/responses/{given_id}{rest}", b"", method=method)
        assert (given_id, client.status, guarded.app.seen) == (given_id, 404, [])
    for given_id in GOOD:
        guarded = Guarded()
        assert (given_id, ask(guarded, f"/v1/responses/{given_id}{rest}", b"", method=method).status) == (given_id, 200)


@given(st.text(max_size=12), st.text(max_size=12))
def test_whatever_is_in_an_id_one_segment_of_a_path_comes_out(model, part):
    guarded = Guarded()
    given_id = kept(f"litellm:custom_llm_provider:x;model_id:{model};response_id:{part}")
    ask(guarded, f"/v1/responses/{given_id}", b"", method="GET")
    # With a slash in it LiteLLM has no such route.
    if "/" not in given_id and guarded.app.seen:
        assert not set("/?#%\\ ;\r\n") & set(part) and part.strip(".")
