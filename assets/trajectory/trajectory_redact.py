"""Keeps keys out of the log."""

import json
import os
import re
from urllib.parse import parse_qsl

import orjson

REDACTED = "[redacted]"
# Shorter words are no keys, and would be found in every text.
SHORTEST = 8
# Clients whose keys stay spelled, and bytes of what one may show: strangers must not fill the memory.
KNOWN_CLIENTS = 64
KNOWN_BYTES = 4096

# Names and words of the log itself. Who shows one of them as a key has no secret, and would take its lines apart.
WORDS = (
    b"schema id attempt final seq process job generation call_id trace_id session_id started_at ended_at duration_ms"
    b" first_token_ms protocol openai anthropic cohere google route model stream outcome ok error disconnected cancelled type"
    b" message code upstream deployment provider api_base usage prompt_tokens completion_tokens total_tokens cost cache_hit told"
    b" request method path headers redacted body body_base64 response status complete bytes kind start at host sha256"
    b" logged_sha256 websocket gap since until reason held dropped refused requests stop"
)

SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|DATABASE_URL|REDIS_URL")
SECRET_FIELD = re.compile(
    r"api[_-]?key|(proxy-)?authorization|x-api-key|.*secret.*|.*password|aws_(access_key_id|session_token)"
    r"|vertex_credentials|(.*_)?(access|auth|ad)_token|cookie",
    re.IGNORECASE,
)
# What the client says to the model: it is the trajectory, whatever it holds.
SAID = (
    "messages",
    "input",
    "prompt",
    "system",
    "instructions",
    "contents",
    "systemInstruction",
    "system_instruction",
)
# JSON Schemas of tools and answers describe values and hold none.
SCHEMAS = ("parameters", "input_schema", "schema")

# A string of a JSON text; a name with its value where that is a string, also one that is cut off.
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
FIELD = re.compile(rb'("([^"\\]{1,100})"\s*:\s*")[^"\\]*(?:\\.[^"\\]*)*("|\Z)')
OBJECT = re.compile(rb"\s*[{\[]")

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
        if name in HEADERS or (name.endswith(b"-session-id") and SESSION_HEADER.fullmatch(name))
    }


class Keys:
    """What no line may hold, in the spellings in which it may stand there."""

    def __init__(self, keys, known=None):
        keys = [key for key in dict.fromkeys(keys) if len(key) >= SHORTEST and key not in WORDS]
        texts = [key.decode("utf-8", "replace") for key in keys]
        # As JSON writes them, with a backslash. In JSON no others are looked for: a raw quote would be one of its own.
        quoted = [spelled[1:-1] for text in texts for spelled in dict.fromkeys((orjson.dumps(text), json.dumps(text).encode()))]
        # Those of the gateway are spelled once, and not for each request.
        self.texts = [*known.texts, *texts] if known else texts
        self.json = [*known.json, *quoted] if known else quoted
        self.all = [*(known.all if known else ()), *dict.fromkeys([*keys, *quoted])]
        self._clients = {}

    def more(self, keys):
        """With those of a client. It shows the same with each request: they are spelled once as well."""
        if not keys:
            return self
        shown = tuple(keys)
        found = self._clients.get(shown)
        if found is None:
            found = Keys(shown, self)
            if sum(map(len, shown)) <= KNOWN_BYTES:
                if len(self._clients) >= KNOWN_CLIENTS:
                    self._clients.clear()
                self._clients[shown] = found
        return found


def client_keys(scope):
    """The keys that a request shows."""
    found = []
    for name, value in scope["headers"]:
        if name in (b"authorization", b"proxy-authorization"):
            found.append(value.split(b" ", 1)[-1].strip())
        elif name in (b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key"):
            found.append(value.split(b" ", 1)[-1].strip())
    query = scope.get("query_string", b"")
    if b"key=" in query:
        # Google's clients may show it there.
        found.extend(value.encode() for name, value in parse_qsl(query.decode("latin-1")) if name == "key")
    return found


def environment_keys(environment=None):
    """Values of the process' environment that are keys by their names."""
    values = (os.environ if environment is None else environment).items()
    return [
        value.encode(errors="surrogateescape")
        for name, value in values
        if SECRET_NAME.search(name.upper()) and len(value) >= SHORTEST and not value.startswith(("/", "os.environ/"))
    ]


def text_without(text, keys):
    """A string without any of the keys, unescaped as a request's path is: somebody may have pasted one into a URL."""
    for key in keys.texts:
        text = text.replace(key, REDACTED)
    return text


def without(text, keys):
    """Bytes that are no JSON, without any of the keys."""
    for key in keys.all:
        if key in text:
            text = text.replace(key, REDACTED.encode())
    return text


def json_without(text, keys):
    """A JSON text without any of the keys. Only its strings are changed, so that it stays JSON whatever a key looks like."""
    if not json_holds(text, keys):
        return text
    return STRING.sub(lambda match: _string_without(match[0], keys), text)


def json_holds(text, keys):
    """Whether a JSON text, or several in a row, may hold one of the keys."""
    for key in keys.json:
        if key in text:
            return True
    return False


def _string_without(word, keys):
    known = json.loads(word.decode())
    value = text_without(known, keys)
    return word if value == known else json.dumps(value).encode()


def text_without_fields(text):
    """What looks like JSON and cannot be parsed, without the fields that are keys by their names, wherever they stand."""
    return FIELD.sub(_field_without, text) if OBJECT.match(text) else text


def _field_without(match):
    secret = SECRET_FIELD.fullmatch(match[2].decode("utf-8", "replace"))
    return match[1] + REDACTED.encode() + match[3] if secret else match[0]


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
