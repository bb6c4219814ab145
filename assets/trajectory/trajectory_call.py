"""What is known of one request: from the wire, and from what LiteLLM tells of its attempts."""

import hashlib
import random
import re
import time

import orjson

from trajectory_redact import (
    body_without_fields,
    client_keys,
    json_without,
    safe_headers,
    text_without,
    text_without_fields,
    without,
)
from trajectory_time import iso

# What answers by a model, of LiteLLM 1.106.0's routes.
ROUTE = re.compile(
    r"/(chat/completions|completions|embeddings|messages|messages/count_tokens|responses|responses/(?:compact|input_tokens)"
    r"|rerank|moderations|images/(?:generations|edits|variations)|audio/(?:speech|transcriptions|translations)|interactions"
    r"|ocr|videos|videos/(?:edits|extensions)|rag/query|decisions|systemone)/?$"
    r"|/models/.+:(generateContent|streamGenerateContent|countTokens)$"
    r"|/videos/[^/]+/remix/?$"
)
# LiteLLM's callback tells nothing of them.
COUNTS = ("messages/count_tokens", "responses/input_tokens", "countTokens")
# Of an answer's header fields, what the log asks for.
ANSWER_HEADERS = frozenset(
    [
        b"content-type",
        b"content-encoding",
        b"x-litellm-call-id",
        b"x-litellm-model-id",
        b"x-litellm-model-api-base",
        b"x-litellm-model-name",
        b"x-litellm-response-cost",
    ]
)
# What the first chunk with a part of the answer has.
FIRST_TOKEN = {"chat/completions": b'"delta"', "messages": b"_delta", "responses": b".delta"}


def route_of(path):
    """The path without prefixes, models and ids; None where it is no call of a model."""
    found = ROUTE.search(path)
    return found and (found[1] or found[2] or "videos/remix")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# One of its own: what a library seeds must not make two processes count alike.
_random = random.Random()


def _uuid4():
    """As `uuid.uuid4` writes them. Nobody may do anything by knowing one, so they need no randomness of the system's."""
    digits = f"{_random.getrandbits(128) & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Call:
    def __init__(self, scope, route, seq, secrets):
        self.id = _uuid4()
        self.seq = seq
        self.route = route
        self.method = scope["method"]
        # What none of its lines may hold.
        self.keys = secrets.more(client_keys(scope))
        self.path = text_without(scope["path"], self.keys)
        self.headers = safe_headers(scope["headers"])
        self.started = time.time()
        self.started_at = iso(self.started)
        self.first_token = None
        self.ended = self.ended_at = None
        # As they are logged: the raw bytes of the client, unless they held a key or a line break.
        self.body = b""
        self.parsed = None
        self.redacted = False
        self.status = None
        self.streamed = False
        self.parts = []
        self.size = 0
        self.answer_headers = {}
        self.finished = False
        self.disconnected = False
        self.cancelled = False
        self.crash = None
        # LiteLLM's events: failed attempts in their order, the one that succeeded, one that failed after the answer began.
        self.starts = []
        self.failures = []
        self.success = None
        self.broken = None

    def take_body(self, raw, complete):
        """Takes the raw body; gives the counter's record of the request."""
        record = {
            "kind": "request",
            "id": self.id,
            "seq": self.seq,
            "at": self.started_at,
            "method": self.method,
            "path": self.path,
            "bytes": len(raw),
            "sha256": sha256(raw),
        }
        if not complete:
            record["complete"] = False
        # Here and nowhere else: what is hashed is what the lines hold.
        try:
            self.parsed = orjson.loads(raw)
            body = json_without(raw, self.keys)
            if body is not raw:
                self.parsed = orjson.loads(body)
            if body_without_fields(self.parsed):
                body = orjson.dumps(self.parsed)
        except (ValueError, TypeError, RecursionError):
            # No JSON, or nested deeper than can be written. LiteLLM takes some of it, as NaN.
            self.parsed = None
            body = text_without_fields(without(raw, self.keys))
        self.redacted = body != raw
        if self.parsed is not None:
            # In JSON they can stand between values only.
            body = body.replace(b"\n", b" ").replace(b"\r", b" ")
        self.body = body
        if body != raw:
            record["logged_sha256"] = sha256(body)
        return record

    def take_start(self, status, headers):
        self.status = status
        self.answer_headers = {
            lower: value.decode("latin-1") for name, value in headers if (lower := name.lower()) in ANSWER_HEADERS
        }
        self.streamed = self.answer_headers.get(b"content-type", "").startswith("text/event-stream")

    def take_part(self, part, more):
        if part:
            self.parts.append(part)
            self.size += len(part)
            if self.first_token is None and self.streamed and FIRST_TOKEN.get(self.route, b"data:") in part:
                self.first_token = time.time()
        if not more:
            self.finished = True

    def fail(self, failure):
        """Takes a failed attempt. LiteLLM calls itself for some routes, and then tells of the same failure twice."""
        known = self.failures[-1] if self.failures else None
        if known and known["starts"] == len(self.starts) and known["model_id"] == failure["model_id"]:
            self.failures.pop()
        self.failures.append({**failure, "starts": len(self.starts)})

    @property
    def settled(self):
        """True when LiteLLM has no more to tell: it tells of errors before the answer, of successes after it."""
        if self.status is None or self.status >= 400 or self.route in COUNTS:
            return True
        return self.success is not None or self.broken is not None

    def end(self):
        """Gives the counter's record of the answer."""
        self.ended = time.time()
        self.ended_at = iso(self.ended)
        return {
            "kind": "response",
            "id": self.id,
            "at": self.ended_at,
            "status": self.status,
            "bytes": self.size,
            "complete": self.finished and not self.disconnected,
        }
