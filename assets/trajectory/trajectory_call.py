"""What is known of one request: from the wire, and from what LiteLLM tells of its attempts. Makes the lines of it."""

import base64
import hashlib
import json
import re
import time
import uuid
import zlib

import orjson

from trajectory_redact import body_without_fields, client_keys, safe_headers, without
from trajectory_store import SCHEMA, iso
from trajectory_stream import assemble

ROUTE = re.compile(
    r"/(chat/completions|completions|embeddings|messages|messages/count_tokens|responses|rerank|moderations"
    r"|images/(?:generations|edits|variations)|audio/(?:speech|transcriptions|translations))/?$"
)
PROTOCOLS = {"messages": "anthropic", "messages/count_tokens": "anthropic", "rerank": "cohere"}
# What the first chunk with a part of the answer has.
FIRST_TOKEN = {"chat/completions": b'"delta"', "messages": b"_delta", "responses": b".delta"}
# Claude Code says its session in this field.
USER_SESSION = re.compile(r"_session_([A-Za-z0-9-]+)$")
USER_INFO = re.compile(r"//[^/@]*@")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Call:
    def __init__(self, scope, route, seq):
        self.id = str(uuid.uuid4())
        self.seq = seq
        self.route = route
        self.method = scope["method"]
        self.path = scope["path"]
        self.keys = client_keys(scope["headers"])
        self.headers = safe_headers(scope["headers"])
        self.started = time.time()
        self.first_token = None
        self.ended = None
        # As they are logged: the raw bytes of the client, unless they held a key or a line break.
        self.body = b""
        self.parsed = None
        self.redacted = False
        self.status = None
        self.parts = []
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
            "at": iso(self.started),
            "method": self.method,
            "path": self.path,
            "bytes": len(raw),
            "sha256": sha256(raw),
        }
        if not complete:
            record["complete"] = False
        body = without(raw, self.keys)
        try:
            self.parsed = orjson.loads(body)
            if body_without_fields(self.parsed):
                body = orjson.dumps(self.parsed)
        except orjson.JSONDecodeError:
            pass
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
        self.answer_headers = {name.lower(): value.decode("latin-1") for name, value in headers}

    def take_part(self, part, more):
        if part:
            self.parts.append(part)
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
    def streamed(self):
        return self.answer_headers.get(b"content-type", "").startswith("text/event-stream")

    @property
    def settled(self):
        """True when LiteLLM has no more to tell: it tells of errors before the answer, of successes after it."""
        if self.status is None or self.status >= 400 or self.route == "messages/count_tokens":
            return True
        return self.success is not None or self.broken is not None

    def end(self):
        """Gives the counter's record of the answer."""
        self.ended = time.time()
        size = sum(map(len, self.parts))
        return {
            "kind": "response",
            "id": self.id,
            "at": iso(self.ended),
            "status": self.status,
            "bytes": size,
            "complete": self.finished and not self.disconnected,
        }

    def lines(self, store, keys):
        """The lines of the request, one for each attempt; the last one holds what the client received."""
        answer = self._answer()
        failures = list(self.failures)
        last = None
        if self.success is None and failures and (self.status is None or self.status >= 400):
            last = failures.pop()
        lines = [self._line(store, number, failure, None) for number, failure in enumerate(failures, 1)]
        lines.append(self._line(store, len(failures) + 1, last, answer))
        return b"".join(without(line, [*keys, *self.keys]) for line in lines)

    def _line(self, store, attempt, failure, answer):
        final = answer is not None
        told = self.success or self.broken or {} if final else {}
        ended = failure["at"] if failure and not final else self.ended
        again = self.starts[attempt - 1] if 1 < attempt <= len(self.starts) else None
        started = again or self.started
        error = self._error(failure, answer) if final else _failure(failure)
        head = {
            "schema": SCHEMA,
            "id": self.id,
            "attempt": attempt,
            "final": final,
            "seq": self.seq,
            "process": store.process,
            "job": store.config.job,
            "generation": store.config.generation,
            "call_id": self._call_id(told, failure),
            "trace_id": self._trace_id(told, failure),
            "session_id": self._session_id(told),
            "started_at": iso(started),
            "ended_at": iso(ended),
            "duration_ms": _milliseconds(started, ended),
            "first_token_ms": _milliseconds(started, self.first_token) if final else None,
            "protocol": PROTOCOLS.get(self.route, "openai"),
            "route": self.route,
            "model": self._asked("model"),
            "stream": self._asked("stream") is True,
            "outcome": self._outcome(error) if final else "error",
            "error": error,
            "upstream": self._upstream(told, failure, final),
            "usage": _usage(told, answer),
            "cost": _cost(told, self.answer_headers) if final else None,
            "cache_hit": told.get("cache_hit"),
            "told": bool(told or failure),
        }
        response = None
        if final:
            response = {"status": self.status, "complete": answer.complete, "bytes": answer.size, **answer.content}
        return self._joined(head, response)

    def _joined(self, head, response):
        """The request's body goes in as the client wrote it: what is equal byte for byte needs no proof that it is equal."""
        request = {"method": self.method, "path": self.path, "headers": self.headers, "redacted": self.redacted}
        if self.parsed is None:
            request["body_base64"] = base64.b64encode(self.body).decode()
            return _json({**head, "request": request, "response": response}) + b"\n"
        parts = [
            _json(head)[:-1],
            b',"request":',
            _json(request)[:-1],
            b',"body":',
            self.body,
            b'},"response":',
            _json(response),
            b"}\n",
        ]
        return b"".join(parts)

    def _answer(self):
        raw = b"".join(self.parts)
        size = len(raw)
        if self.answer_headers.get(b"content-encoding") == "gzip":
            # What a client that hung up did not take is missing at the end.
            raw = zlib.decompressobj(31).decompress(raw)
        whole = self.finished and not self.disconnected
        if self.status is None:
            return _Answer({"body": None}, False, size, None)
        if self.streamed:
            body, complete, error = assemble(self.route, raw)
            content = {"body": body} if body is not None or not raw else {"body_base64": _base64(raw)}
            return _Answer(content, complete and whole, size, error)
        try:
            body = orjson.loads(raw) if raw else None
            error = body.get("error") if self.status >= 400 and isinstance(body, dict) else None
            return _Answer({"body": body}, whole, size, error)
        except orjson.JSONDecodeError:
            return _Answer({"body_base64": _base64(raw)}, whole, size, None)

    def _outcome(self, error):
        if self.cancelled:
            return "cancelled"
        if self.disconnected:
            return "disconnected"
        return "error" if error else "ok"

    def _error(self, failure, answer):
        if answer.error is not None:
            shown = answer.error if isinstance(answer.error, dict) else {"message": str(answer.error)}
            told = _failure(failure) or {}
            return {
                "type": shown.get("type") or told.get("type"),
                "message": str(shown.get("message") or told.get("message") or ""),
                "code": str(shown.get("code") or (self.status if self.status >= 400 else "")) or None,
            }
        if self.crash is not None:
            return {"type": type(self.crash).__name__, "message": str(self.crash), "code": None}
        if self.broken is not None:
            told = self.broken.get("error_information") or {}
            message = self.broken.get("error_str") or told.get("error_message") or ""
            return {"type": told.get("error_class"), "message": message, "code": told.get("error_code")}
        if self.status is not None and self.status >= 400:
            return _failure(failure) or {"type": None, "message": "", "code": str(self.status)}
        return None

    def _asked(self, name):
        value = self.parsed.get(name) if isinstance(self.parsed, dict) else None
        return value if isinstance(value, (str, bool)) else None

    def _call_id(self, told, failure):
        own = self.answer_headers.get(b"x-litellm-call-id")
        return told.get("litellm_call_id") or (failure or {}).get("call_id") or own or None

    def _trace_id(self, told, failure):
        asked = self.headers.get("x-litellm-trace-id") or self._named("litellm_trace_id", "trace_id")
        return asked or told.get("trace_id") or (failure or {}).get("trace_id") or self.id

    def _session_id(self, told):
        asked = self.headers.get("x-litellm-session-id") or self._named("litellm_session_id", "session_id")
        if asked:
            return asked
        for name, value in self.headers.items():
            if name.endswith("-session-id"):
                return value
        user = self._metadata().get("user_id")
        found = USER_SESSION.search(user) if isinstance(user, str) else None
        return found[1] if found else told.get("session_id") or None

    def _metadata(self):
        value = self.parsed.get("metadata") if isinstance(self.parsed, dict) else None
        return value if isinstance(value, dict) else {}

    def _named(self, top, inner):
        value = (self.parsed.get(top) if isinstance(self.parsed, dict) else None) or self._metadata().get(inner)
        return value if isinstance(value, str) else None

    def _upstream(self, told, failure, final):
        own = failure if failure is not None else told
        headers = self.answer_headers if final else {}
        deployment = own.get("model_id") or headers.get(b"x-litellm-model-id")
        if not deployment:
            # Nothing behind the gateway was asked.
            return None
        base = own.get("api_base") or headers.get(b"x-litellm-model-api-base")
        return {
            "deployment": deployment,
            "model": own.get("model") or headers.get(b"x-litellm-model-name"),
            "provider": own.get("custom_llm_provider"),
            "api_base": USER_INFO.sub("//", base) if base else None,
        }


class _Answer:
    def __init__(self, content, complete, size, error):
        self.content = content
        self.complete = complete
        self.size = size
        self.error = error


def _json(value):
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        # Half of a surrogate pair in somebody's words, or a number beyond 64 bits.
        return json.dumps(value, default=str, separators=(",", ":")).encode()


def _milliseconds(start, end):
    return None if end is None else round((end - start) * 1000, 3)


def _base64(data):
    return base64.b64encode(data).decode()


def _failure(failure):
    if failure is None:
        return None
    return {"type": failure["type"], "message": failure["message"], "code": failure["code"]}


def _usage(told, answer):
    if told.get("total_tokens"):
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        return {name: told.get(name) or 0 for name in names}
    body = answer.content.get("body") if answer else None
    usage = body.get("usage") if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    asked = usage.get("prompt_tokens", usage.get("input_tokens")) or 0
    said = usage.get("completion_tokens", usage.get("output_tokens")) or 0
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": usage.get("total_tokens") or asked + said}


def _cost(told, headers):
    if told.get("response_cost") is not None:
        return told["response_cost"]
    try:
        return float(headers[b"x-litellm-response-cost"])
    except (KeyError, ValueError):
        return None
