"""Keys never reach the log."""

import base64
import hashlib
import json
import pathlib

import pytest

from box import OK, Box, failure
from support import App, Client, answer, data, lines_of, stream
from trajectory_redact import KNOWN_BYTES, KNOWN_CLIENTS, SHORTEST, WORDS, Keys, body_without_fields, environment_keys

CLIENT = "sk-client-0123456789"
ODD = "sk-it's\"odd\"\\0123"


@pytest.fixture
def box(tmp_path, open_store, monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master-0123456789")
    monkeypatch.setenv("GPUBOX_SECRET_farKey", ODD)
    monkeypatch.setenv("SSL_KEYFILE_PATH", "/etc/ssl/key.pem")
    return Box(tmp_path, open_store())


def everything(directory):
    """All that was written, and what is base64-coded in it."""
    texts = [path.read_bytes().decode() for path in directory.iterdir()]
    parts = [line[name] or {} for line in lines_of(directory) for name in ("request", "response")]
    coded = [base64.b64decode(part.get("body_base64", "")) for part in parts]
    return "".join([*texts, *[text.decode("utf-8", "replace") for text in coded]])


def body_in(directory):
    """The request's body of the only line, byte for byte."""
    [text] = (directory / "log.jsonl").read_bytes().splitlines()
    request = json.loads(text)["request"]
    if "body_base64" in request:
        return base64.b64decode(request["body_base64"])
    return text.split(b',"body":', 1)[1].split(b'},"response":', 1)[0]


def counted_hash(directory):
    """The hash that the line's body has to have, and that of what came."""
    [request] = [record for record in lines_of(directory, "log.counter.jsonl") if record["kind"] == "request"]
    return request.get("logged_sha256", request["sha256"]), request["sha256"]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("field", ["authorization", "x-api-key", "api-key", "proxy-authorization"])
def test_of_the_client_in_no_place(box, tmp_path, field):
    value = f"Bearer {CLIENT}" if "authorization" in field else CLIENT
    body = {"model": "m", "messages": [{"role": "user", "content": f"my key is {CLIENT}"}]}
    error = {"error": {"message": f"wrong key {CLIENT}", "type": "auth_error"}}
    client = Client(body=json.dumps(body).encode(), headers=[(field.encode(), value.encode())])
    app = App(answer(401, error))
    box.run(client, app)
    assert CLIENT not in everything(tmp_path)
    [line] = lines_of(tmp_path)
    assert line["request"]["redacted"] is True
    assert line["request"]["body"]["messages"][0]["content"] == "my key is [redacted]"
    assert line["error"]["message"] == "wrong key [redacted]"
    # What the model's server is sent is what the client wrote.
    assert json.loads(app.seen[0][1]) == body


def test_of_the_gateway_in_an_answer_are_taken_out(box, tmp_path):
    error = {"error": {"message": f"upstream said {ODD} and sk-master-0123456789 of /etc/ssl/key.pem", "type": "e"}}
    box.run(Client(body=b"{}"), App(answer(500, error)))
    text = everything(tmp_path)
    assert [key for key in (ODD, json.dumps(ODD)[1:-1], "sk-master-0123456789") if key in text] == []
    assert lines_of(tmp_path)[0]["error"]["message"] == "upstream said [redacted] and [redacted] of /etc/ssl/key.pem"


def test_of_the_models_in_the_config_are_learnt(box, tmp_path):
    box.recorder._model_keys = lambda: [b"sk-upstream-0123"]
    box.run(Client(body=b"{}"), App(answer(500, {"error": {"message": "sk-upstream-0123"}})))
    assert "sk-upstream-0123" not in everything(tmp_path)


def test_in_fields_of_the_body_are_taken_out_and_the_hash_is_of_what_is_logged(box, tmp_path):
    body = {
        "model": "m",
        "api_key": "sk-mine",
        "messages": [{"role": "user", "content": "the password", "password": "kept: the model was told"}],
        "extra_headers": {"Authorization": "Bearer x", "X-Trace": "1"},
        "tools": [
            {"type": "mcp", "headers": {"x-api-key": "k"}, "authorization": "tok"},
            {"type": "function", "function": {"name": "f", "parameters": {"properties": {"api_key": "string"}}}},
        ],
        "max_tokens": 5,
        "metadata": {"client_secret": "s", "note": "n"},
    }
    box.run(Client(body=json.dumps(body).encode()), App(answer(400, {})))
    logged = lines_of(tmp_path)[0]["request"]["body"]
    assert logged["api_key"] == logged["tools"][0]["authorization"] == logged["metadata"]["client_secret"] == "[redacted]"
    assert logged["extra_headers"] == {"Authorization": "[redacted]", "X-Trace": "1"}
    assert logged["tools"][0]["headers"] == {"x-api-key": "[redacted]"}
    assert logged["tools"][1] == body["tools"][1]
    assert logged["messages"] == body["messages"]
    assert (logged["max_tokens"], logged["metadata"]["note"]) == (5, "n")


def test_a_body_without_any_is_left_alone():
    body = {"model": "m", "max_tokens": 1, "metadata": {"user_id": "u"}, "stop": ["token"]}
    assert body_without_fields(dict(body)) is False


def test_of_the_environment_are_those_with_such_a_name_and_some_length():
    environment = {
        "LITELLM_MASTER_KEY": "sk-0123456",
        "DATABASE_URL": "postgresql://u:p@h/d",
        "SHORT_KEY": "none",
        "TLS_KEY_FILE": "/etc/key",
        "HOME": "/home/somebody",
        "A_KEY": "os.environ/OTHER",
    }
    assert environment_keys(environment) == [b"sk-0123456", b"postgresql://u:p@h/d"]


@pytest.mark.parametrize("key", ["sk-master-0123456789", ODD])
def test_of_the_gateway_in_a_body_are_taken_out_of_what_is_hashed(box, tmp_path, key):
    said = {"model": "m", "messages": [{"role": "tool", "content": f"KEY={key}\nHOME=/"}], "n": 1}
    body = json.dumps(said).encode()
    app = App(answer(200, {}), after=box.succeed)
    box.run(Client(body=body), app)
    assert (key in everything(tmp_path), json.dumps(key)[1:-1] in everything(tmp_path)) == (False, False)
    [line] = lines_of(tmp_path)
    assert line["request"]["redacted"] is True
    assert line["request"]["body"]["messages"][0]["content"] == "KEY=[redacted]\nHOME=/"
    assert counted_hash(tmp_path) == (sha256(body_in(tmp_path)), sha256(body))
    assert app.seen[0][1] == body


def test_of_the_gateway_in_a_body_whose_attempts_failed_are_in_no_line(box, tmp_path):
    async def fail(scope):
        box.call(scope).fail(failure(1))

    box.run(Client(body=b'{"messages":"sk-master-0123456789"}'), App(answer(200, {}), fail, box.succeed))
    assert [line["request"]["body"] for line in lines_of(tmp_path)] == [{"messages": "[redacted]"}] * 2


BROKEN = {
    "nan": b'{"model": "m", "temperature": NaN, "api_key": "sk-mine", "input": "sk-master-0123456789"}',
    "half a pair": b'{"input": "\\ud83d sk-master-0123456789", "extra_headers": {"Authorization" : "Bearer sk-mine"}}',
    "cut off": b'{"input": "sk-master-0123456789", "api_key": "sk-mine',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_in_a_body_that_is_no_strict_json_are_not_base64_coded(box, tmp_path, body):
    box.run(Client(body=body), App(answer(400, {})))
    kept = body.replace(b"sk-master-0123456789", b"[redacted]").replace(b"Bearer sk-mine", b"[redacted]")
    assert body_in(tmp_path) == kept.replace(b"sk-mine", b"[redacted]")
    assert counted_hash(tmp_path) == (sha256(body_in(tmp_path)), sha256(body))
    assert lines_of(tmp_path)[0]["request"]["redacted"] is True


def test_in_a_form_are_not_base64_coded(box, tmp_path):
    body = f"--b\r\n\r\n{ODD}\r\n{json.dumps(ODD)}\r\n--b--\xff".encode("latin-1")
    box.run(Client("/v1/audio/transcriptions", body), App(answer(200, {}), after=box.succeed))
    assert body_in(tmp_path) == b'--b\r\n\r\n[redacted]\r\n"[redacted]"\r\n--b--\xff'
    assert counted_hash(tmp_path)[0] == sha256(body_in(tmp_path))


@pytest.mark.parametrize(
    "messages",
    [answer(200, b"\xff sk-master-0123456789", "text/plain"), stream(*data({"text": "sk-master-0123456789"}))],
    ids=["text", "stream"],
)
def test_in_an_answer_that_is_kept_as_it_came_are_not_base64_coded(box, tmp_path, messages):
    box.run(Client("/v1/audio/speech", b"{}"), App(messages, after=box.succeed))
    assert "sk-master" not in everything(tmp_path)
    assert b"[redacted]" in base64.b64decode(lines_of(tmp_path)[0]["response"]["body_base64"])


def nested(depth, inside):
    return b'{"a":' * depth + inside + b"}" * depth


@pytest.mark.parametrize("depth", [200, 300, 990, 1015, 3000])
def test_in_a_body_of_any_depth_are_taken_out_and_it_is_counted(box, tmp_path, depth):
    body = b'{"api_key":"sk-mine","deep":' + nested(depth, b'{"api_key":"sk-mine"}') + b"}"
    client = box.run(Client(body=body), App(answer(400, {})))
    assert client.status == 400
    assert "sk-mine" not in everything(tmp_path)
    assert counted_hash(tmp_path) == (sha256(body_in(tmp_path)), sha256(body))


NO_SECRETS = ["response", "anthropic", "completion", "started_at", '"response":', "disconnected"]
ODD_KEYS = ["}}}}}}}}", "12345678", "2026-01-", "nabcdefg", "abcdefg\\", ',"told":', "sk-é-0123456789"]


@pytest.mark.parametrize("kind", ["client", "gateway"])
@pytest.mark.parametrize("key", [*NO_SECRETS, *ODD_KEYS])
def test_of_any_look_leave_the_line_what_it_is(tmp_path, open_store, monkeypatch, key, kind):
    headers = []
    if kind == "gateway":
        monkeypatch.setenv("ODD_KEY", key)
    else:
        headers = [(b"authorization", b"Bearer " + key.encode())]
    box = Box(tmp_path, open_store())
    deep = {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 12345678}}}}}}}}
    text = f"\nabcdefg\\ and {key}"
    body = json.dumps({"model": "m", "stream": False, "messages": [text], "response": deep}, separators=(",", ":"))
    said = {"response": deep, "started_at": 12345678, "choices": [text], "completion": "anthropic"}
    # Times of a year that is the key of one of them.
    monkeypatch.setattr("trajectory_call.iso", lambda seconds: "2026-01-01T00:00:00.000000Z")
    box.run(Client("/v1/messages", body.encode(), headers), App(answer(401, said)))
    [line] = lines_of(tmp_path)
    kept = text if key in NO_SECRETS[:4] + NO_SECRETS[5:] else text.replace(key, "[redacted]")
    assert line["request"]["body"] == {"model": "m", "stream": False, "messages": [kept], "response": deep}
    assert line["response"]["body"] == {"response": deep, "started_at": 12345678, "choices": [kept], "completion": "anthropic"}
    assert (line["protocol"], line["started_at"]) == ("anthropic", "2026-01-01T00:00:00.000000Z")
    assert counted_hash(tmp_path)[0] == sha256(body_in(tmp_path))


def test_no_name_and_no_word_of_the_log_is_taken_for_one():
    schema = json.loads((pathlib.Path(__file__).parents[2] / "docs" / "trajectory.schema.json").read_text())

    def words(value):
        if isinstance(value, dict):
            for name, one in value.items():
                if name == "properties":
                    yield from one
                if name in ("enum", "const"):
                    yield from one if isinstance(one, list) else [one]
                yield from words(one)
        elif isinstance(value, list):
            for one in value:
                yield from words(one)

    known = WORDS.decode().split()
    assert sorted({word for word in words(schema) if isinstance(word, str)} - set(known)) == []
    assert [word for word in known if len(word) >= SHORTEST] != []


def test_in_the_address_of_a_google_client_are_its_keys(box, tmp_path):
    client = Client(body=b'{"messages":"sk-in/the-address"}')
    client.scope["query_string"] = b"alt=sse&key=sk-in%2Fthe-address"
    box.run(client, App(answer(401, {})))
    assert lines_of(tmp_path)[0]["request"]["body"] == {"messages": "[redacted]"}


def test_of_more_clients_than_are_remembered_are_each_ones_own(box, tmp_path):
    keys = [f"sk-client-{number:010d}" for number in range(KNOWN_CLIENTS + 2)] + ["k" * (KNOWN_BYTES + 1)]
    for key in [*keys, *keys]:
        client = Client(body=json.dumps({"messages": f"it is {key}"}).encode(), headers=[(b"x-api-key", key.encode())])
        box.run(client, App(answer(401, json.dumps(key).encode())))
    lines = lines_of(tmp_path)
    assert [line["request"]["body"] for line in lines] == [{"messages": "it is [redacted]"}] * (2 * len(keys))
    assert [line["response"]["body"] for line in lines] == ["[redacted]"] * (2 * len(keys))


def ask_with(box, place):
    """A request whose only key stands in one place."""
    headers = {"header": [(b"user-agent", CLIENT.encode())], "trace": [(b"x-litellm-trace-id", CLIENT.encode())]}.get(place, [])
    path = f"/{CLIENT}/v1/chat/completions" if place == "path" else "/v1/chat/completions"
    body = json.dumps({"messages": CLIENT if place == "request" else "hi"}).encode()
    said = {"choices": [CLIENT if place == "answer" else "pong"]}
    told = {**OK, "model": f"openai/{CLIENT}"} if place == "model" else OK
    client = Client(path, body, [(b"authorization", b"Bearer " + CLIENT.encode()), *headers])

    async def fail(scope):
        if place == "failure":
            box.call(scope).fail({**failure(1), "message": f"no {CLIENT}"})

    box.run(client, App(answer(200, said), fail, lambda scope: box.succeed(scope, told)))


@pytest.mark.parametrize("place", ["header", "trace", "path", "request", "answer", "model", "failure"])
def test_in_one_place_alone_is_found_there(box, tmp_path, place):
    ask_with(box, place)
    text = (tmp_path / "log.jsonl").read_text()
    assert (CLIENT in text, "[redacted]" in text) == (False, True)
    assert CLIENT not in (tmp_path / "log.counter.jsonl").read_text()


def test_in_the_path_of_a_websocket_is_not_in_the_counter(box, tmp_path):
    async def app(scope, receive, send):
        pass

    client = Client(f"/{CLIENT}/v1/responses", headers=[(b"authorization", b"Bearer " + CLIENT.encode())], kind="websocket")
    box.run(client, app)
    records = lines_of(tmp_path, "log.counter.jsonl")
    assert [record["path"] for record in records if record["kind"] == "websocket"] == ["/[redacted]/v1/responses"]


def test_strangers_keys_are_not_kept_without_end():
    known = Keys([b"sk-gateway-0123456789"])
    for number in range(3 * KNOWN_CLIENTS):
        known.more([b"sk-client-%010d" % number])
    known.more([b"k" * (KNOWN_BYTES + 1)])
    assert 0 < len(known._clients) <= KNOWN_CLIENTS
    assert max(sum(map(len, shown)) for shown in known._clients) <= KNOWN_BYTES
