"""Keys never reach the log."""

import json

import pytest

from box import Box
from support import App, Client, answer, lines_of
from trajectory_redact import body_without_fields, environment_keys

CLIENT = "sk-client-0123456789"
ODD = "sk-it's\"odd\"\\0123"


@pytest.fixture
def box(tmp_path, open_store, monkeypatch):
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master-0123456789")
    monkeypatch.setenv("GPUBOX_SECRET_farKey", ODD)
    monkeypatch.setenv("SSL_KEYFILE_PATH", "/etc/ssl/key.pem")
    return Box(tmp_path, open_store())


def everything(directory):
    return b"".join(path.read_bytes() for path in directory.iterdir()).decode()


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
    box.recorder.add_keys([b"sk-upstream-0123"])
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
