"""Keeps keys out of the log."""

import os
import re

import orjson

REDACTED = "[redacted]"
# Shorter words are no keys, and would be found in every text.
SHORTEST = 8

SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|DATABASE_URL|REDIS_URL")
SECRET_FIELD = re.compile(
    r"api[_-]?key|(proxy-)?authorization|x-api-key|.*secret.*|.*password|aws_(access_key_id|session_token)"
    r"|vertex_credentials|(.*_)?(access|auth|ad)_token|cookie",
    re.IGNORECASE,
)
# What the client says to the model: it is the trajectory, whatever it holds.
SAID = ("messages", "input", "prompt", "system", "instructions")
# JSON Schemas of tools and answers describe values and hold none.
SCHEMAS = ("parameters", "input_schema", "schema")

# What a log may tell of a request's header fields.
HEADERS = frozenset(
    [
        b"user-agent",
        b"content-type",
        b"anthropic-version",
        b"anthropic-beta",
        b"openai-beta",
        b"x-request-id",
        b"traceparent",
        b"x-litellm-call-id",
        b"x-litellm-trace-id",
        b"x-litellm-session-id",
        b"x-litellm-tags",
        b"x-litellm-end-user-id",
        b"x-session-id",
    ]
)
SESSION_HEADER = re.compile(rb"x-[a-z0-9-]+-session-id")


def safe_headers(headers):
    """Header fields, (name, value) in bytes, that hold no key: a list of what is allowed, not of what is not."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name in HEADERS or SESSION_HEADER.fullmatch(name)
    }


def client_keys(headers):
    """The keys that a request shows, in all their spellings."""
    found = []
    for name, value in headers:
        if name in (b"authorization", b"proxy-authorization"):
            found.append(value.split(b" ", 1)[-1].strip())
        elif name in (b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key"):
            found.append(value.split(b" ", 1)[-1].strip())
    return spellings([key for key in found if len(key) >= SHORTEST])


def environment_keys(environment=None):
    """Values of the process' environment that are keys by their names, in all their spellings."""
    values = (os.environ if environment is None else environment).items()
    return spellings(
        [
            value.encode()
            for name, value in values
            if SECRET_NAME.search(name.upper()) and len(value) >= SHORTEST and not value.startswith(("/", "os.environ/"))
        ]
    )


def spellings(keys):
    """Keys as they may stand in a text: also as JSON writes them, with a backslash."""
    quoted = [orjson.dumps(key.decode("utf-8", "replace"))[1:-1] for key in keys]
    return list(dict.fromkeys([*keys, *quoted]))


def without(text, spelled):
    """Bytes without any of the keys, in the spellings that are given."""
    for key in spelled:
        if key in text:
            text = text.replace(key, REDACTED.encode())
    return text


def body_without_fields(body):
    """True where a field of a parsed body held a key; it is taken out in place."""
    if not isinstance(body, dict):
        return False
    return _clean({key: value for key, value in body.items() if key not in SAID}, body)


def _clean(fields, owner):
    found = False
    for key, value in fields.items():
        if key in SCHEMAS:
            continue
        if isinstance(value, str):
            if SECRET_FIELD.fullmatch(key) and value != REDACTED:
                owner[key] = REDACTED
                found = True
        elif isinstance(value, dict):
            found = _clean(value, value) or found
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    found = _clean(item, item) or found
    return found
