"""The lines of a request that has ended, one for each attempt."""

import base64
import json
import re
import zlib

import orjson

from trajectory_redact import json_holds, json_without, without
from trajectory_store import SCHEMA
from trajectory_stream import assemble
from trajectory_time import iso

PROTOCOLS = {
    "messages": "anthropic",
    "messages/count_tokens": "anthropic",
    "rerank": "cohere",
    "generateContent": "google",
    "streamGenerateContent": "google",
    "countTokens": "google",
    "interactions": "google",
}
# Google's clients name the model there.
GOOGLE_MODEL = re.compile(r"/models/(.+):[A-Za-z]+$")
# Claude Code says its session in this field.
USER_SESSION = re.compile(r"_session_([A-Za-z0-9-]+)$")
# Of a line, what somebody else than the log says.
TOLD = ("call_id", "trace_id", "session_id", "model", "error", "upstream")
USER_INFO = re.compile(r"//[^/@]*@")


def lines_of(call, store):
    """The lines of the request, one for each attempt; the last one holds what the client received."""
    answer = _answer(call)
    failures = list(call.failures)
    last = None
    if call.success is None and failures and (call.status is None or call.status >= 400):
        last = failures.pop()
    lines = [_line(call, store, number, failure, None) for number, failure in enumerate(failures, 1)]
    lines.append(_line(call, store, len(failures) + 1, last, answer))
    return b"".join(lines)


def _line(call, store, attempt, failure, answer):
    final = answer is not None
    told = call.success or call.broken or {} if final else {}
    ended = failure["at"] if failure and not final else call.ended
    again = call.starts[attempt - 1] if 1 < attempt <= len(call.starts) else None
    started = again or call.started
    error = _error(call, failure, answer) if final else _failure(failure)
    head = {
        "schema": SCHEMA,
        "id": call.id,
        "attempt": attempt,
        "final": final,
        "seq": call.seq,
        "process": store.process,
        "job": store.config.job,
        "generation": store.config.generation,
        "call_id": _call_id(call, told, failure),
        "trace_id": _trace_id(call, told, failure),
        "session_id": _session_id(call, told),
        "started_at": iso(again) if again else call.started_at,
        "ended_at": call.ended_at if ended is call.ended else iso(ended),
        "duration_ms": _milliseconds(started, ended),
        "first_token_ms": _milliseconds(started, call.first_token) if final else None,
        "protocol": PROTOCOLS.get(call.route, "openai"),
        "route": call.route,
        "model": _model(call),
        "stream": _asked(call, "stream") is True or call.route == "streamGenerateContent",
        "outcome": _outcome(call, error) if final else "error",
        "error": error,
        "upstream": _upstream(call, told, failure, final),
        "usage": _usage(told, answer),
        "cost": _cost(told, call.answer_headers) if final else None,
        "cache_hit": told.get("cache_hit"),
        "told": bool(told or failure),
    }
    response = None
    if final:
        response = {"status": call.status, "complete": answer.complete, "bytes": answer.size, **answer.content}
    return _joined(call, head, response)


def _joined(call, head, response):
    """The request's body goes in as the client wrote it: what is equal byte for byte needs no proof that it is equal."""
    request = {"method": call.method, "path": call.path, "headers": call.headers, "redacted": call.redacted}
    if call.parsed is None:
        request["body_base64"] = _base64(call.body)
    first, asked, said = _json(head), _json(request), _json(response)
    # The body was searched when it came. Of the rest nearly no line holds a key: one search instead of three.
    if json_holds(b"".join((first, asked, said)), call.keys):
        first, asked, said = _head(head, first, call.keys), json_without(asked, call.keys), json_without(said, call.keys)
    if call.parsed is not None:
        asked = b"".join((asked[:-1], b',"body":', call.body, b"}"))
    return b"".join((first[:-1], b',"request":', asked, b',"response":', said, b"}\n"))


def _head(head, text, keys):
    if not json_holds(text, keys):
        return text
    told = {name: head[name] for name in TOLD}
    return _json({**head, **json.loads(json_without(_json(told), keys))})


def _answer(call):
    raw = b"".join(call.parts)
    size = call.size
    if call.answer_headers.get(b"content-encoding") == "gzip":
        # What a client that hung up did not take is missing at the end.
        raw = zlib.decompressobj(31).decompress(raw)
    whole = call.finished and not call.disconnected
    if call.status is None:
        return _Answer({"body": None}, False, size, None)
    if call.streamed:
        body, complete, error = assemble(call.route, raw)
        content = {"body": body} if body is not None or not raw else _encoded(call, raw)
        return _Answer(content, complete and whole, size, error)
    try:
        body = orjson.loads(raw) if raw else None
        error = body.get("error") if call.status >= 400 and isinstance(body, dict) else None
        return _Answer({"body": body}, whole, size, error)
    except orjson.JSONDecodeError:
        return _Answer(_encoded(call, raw), whole, size, None)


def _encoded(call, raw):
    """Keys are not found in base64."""
    return {"body_base64": _base64(without(raw, call.keys))}


def _outcome(call, error):
    if call.cancelled:
        return "cancelled"
    if call.disconnected:
        return "disconnected"
    return "error" if error else "ok"


def _error(call, failure, answer):
    if answer.error is not None:
        shown = answer.error if isinstance(answer.error, dict) else {"message": str(answer.error)}
        told = _failure(failure) or {}
        return {
            "type": shown.get("type") or told.get("type"),
            "message": str(shown.get("message") or told.get("message") or ""),
            "code": str(shown.get("code") or (call.status if call.status >= 400 else "")) or None,
        }
    if call.crash is not None:
        return {"type": type(call.crash).__name__, "message": str(call.crash), "code": None}
    if call.broken is not None:
        told = call.broken.get("error_information") or {}
        message = call.broken.get("error_str") or told.get("error_message") or ""
        return {"type": told.get("error_class"), "message": message, "code": told.get("error_code")}
    if call.status is not None and call.status >= 400:
        return _failure(failure) or {"type": None, "message": "", "code": str(call.status)}
    return None


def _asked(call, name):
    value = call.parsed.get(name) if isinstance(call.parsed, dict) else None
    return value if isinstance(value, (str, bool)) else None


def _model(call):
    asked = _asked(call, "model")
    if isinstance(asked, str):
        return asked
    found = GOOGLE_MODEL.search(call.path)
    return found[1] if found else None


def _call_id(call, told, failure):
    own = call.answer_headers.get(b"x-litellm-call-id")
    return told.get("litellm_call_id") or (failure or {}).get("call_id") or own or None


def _trace_id(call, told, failure):
    asked = call.headers.get("x-litellm-trace-id") or _named(call, "litellm_trace_id", "trace_id")
    return asked or told.get("trace_id") or (failure or {}).get("trace_id") or call.id


def _session_id(call, told):
    asked = call.headers.get("x-litellm-session-id") or _named(call, "litellm_session_id", "session_id")
    if asked:
        return asked
    for name, value in call.headers.items():
        if name.endswith("-session-id"):
            return value
    user = _metadata(call).get("user_id")
    found = USER_SESSION.search(user) if isinstance(user, str) else None
    return found[1] if found else told.get("session_id") or None


def _metadata(call):
    value = call.parsed.get("metadata") if isinstance(call.parsed, dict) else None
    return value if isinstance(value, dict) else {}


def _named(call, top, inner):
    value = (call.parsed.get(top) if isinstance(call.parsed, dict) else None) or _metadata(call).get(inner)
    return value if isinstance(value, str) else None


def _upstream(call, told, failure, final):
    own = failure if failure is not None else told
    headers = call.answer_headers if final else {}
    deployment = own.get("model_id") or headers.get(b"x-litellm-model-id")
    if not deployment:
        # Nothing behind the gateway was asked.
        return None
    base = own.get("api_base") or headers.get(b"x-litellm-model-api-base")
    return {
        "deployment": deployment,
        "model": own.get("model") or headers.get(b"x-litellm-model-name"),
        "provider": own.get("custom_llm_provider"),
        "api_base": USER_INFO.sub("//", base) if base and "@" in base else base or None,
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
    usage = (body.get("usage") or body.get("usageMetadata")) if isinstance(body, dict) else None
    if not isinstance(usage, dict):
        return None
    asked = _first(usage, "prompt_tokens", "input_tokens", "promptTokenCount")
    said = _first(usage, "completion_tokens", "output_tokens", "candidatesTokenCount")
    total = _first(usage, "total_tokens", "totalTokenCount")
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": total or asked + said}


def _first(usage, *names):
    return next((usage[name] for name in names if usage.get(name)), 0)


def _cost(told, headers):
    if told.get("response_cost") is not None:
        return told["response_cost"]
    try:
        return float(headers[b"x-litellm-response-cost"])
    except (KeyError, ValueError):
        return None
