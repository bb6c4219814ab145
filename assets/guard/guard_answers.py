"""The guard's own answers, in the form of the API that the request speaks."""

import re
import zlib

import orjson

CUT = "The answer ended before it was complete: the server or the way to it broke off."

_WORDS = {
    404: "There is nothing here.",
    405: "This route does not serve that method.",
    500: "The gateway failed on this request.",
}

# A whole stream's end, or an error that came inside it. Text of a model cannot look like it: it holds no line break.
_ENDS = {
    "chat/completions": re.compile(rb'\ndata: ?(?:\[DONE\]|\{"error")'),
    "completions": re.compile(rb'\ndata: ?(?:\[DONE\]|\{"error")'),
    "messages": re.compile(rb'\n(?:event: ?(?:message_stop|error)\b|data: ?\{"type": ?"(?:message_stop|error)")'),
    "responses": re.compile(rb'\n(?:event: ?(?:response\.(?:completed|incomplete|failed)|error)\b'
                            rb'|data: ?(?:\[DONE\]|\{"type": ?"(?:response\.(?:completed|incomplete|failed)|error)"|\{"error"))'),
}
# Longer than the longest of those.
_OVERLAP = 64


def error_body(api, status, message, param=None, code=None):
    """An error as the API's clients read it."""
    if api == "anthropic":
        kind = {400: "invalid_request_error", 403: "permission_error"}.get(status, "api_error")
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}})
    kind = "invalid_request_error" if status < 500 else "server_error"
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


async def answer(send, api, status, message, param=None, code=None):
    await _send_json(send, status, error_body(api, status, message, param, code))


async def alive(send):
    """What LiteLLM says to who asks whether it lives."""
    await _send_json(send, 200, b'"I\'m alive!"')


async def _send_json(send, status, body):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# Header fields that are wrong for another body.
_OF_THE_BODY = (b"content-type", b"content-length", b"content-encoding")


def _plain(headers, body):
    """A body as it was before LiteLLM's web application compressed it, which it does with gzip alone."""
    encoding = dict(headers).get(b"content-encoding", b"").lower()
    if encoding != b"gzip":
        return body
    try:
        # 16: with gzip's header.
        return zlib.decompress(body, wbits=zlib.MAX_WBITS | 16)
    except zlib.error:
        return b""


class Refusal:
    """Holds an answer that is an error, and writes one anew that its client could not read: FastAPI's own, and a bare text."""

    def __init__(self, api, send, writes=True):
        self.api = api
        self.writes = writes
        self._send = send
        self._start = None
        self._body = b""
        self._passed = False

    async def failed(self):
        """Says so, where nothing has been said yet."""
        if not self._passed:
            await answer(self._send, self.api, 500, _WORDS[500])

    async def send(self, message):
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if self.writes and message["status"] >= 400 and not kind.startswith(b"text/event-stream"):
                self._start = message
                return None
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return None
            start, self._start = self._start, None
            said = _unreadable(start["status"], _plain(start["headers"], self._body))
            if said is not None:
                self._body = error_body(self.api, start["status"], said)
                kept = [pair for pair in start["headers"] if pair[0].lower() not in _OF_THE_BODY]
                length = str(len(self._body)).encode()
                start = {**start, "headers": [*kept, (b"content-type", b"application/json"), (b"content-length", length)]}
            self._passed = True
            await self._send(start)
            message = {**message, "body": self._body}
        self._passed = True
        return await self._send(message)


def _unreadable(status, body):
    """What an error says that is in no API's form; None for one that is."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return _WORDS.get(status, "The gateway did not take this request.")
    error = found.get("error")
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return None
    detail = error if isinstance(error, str) else found.get("detail")
    if isinstance(detail, dict):
        detail = detail.get("error") or detail.get("message")
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, one.get('loc', [])))}: {one.get('msg')}" for one in detail if isinstance(one, dict))
    return detail if isinstance(detail, str) and detail else _WORDS.get(status, "The gateway did not take this request.")


class Ending:
    """Watches a stream on its way out, and writes an error at its end where the end of a whole one did not come."""

    def __init__(self, route, send):
        self.ends = _ENDS.get(route.name)
        self.route = route
        self._send = send
        self.streams = False
        self.seen = False
        self.tail = b"\n"
        # A line that has begun. What breaks off in its middle is no event, and nobody could read an error behind it.
        self.held = b""

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.streams = message["status"] == 200 and any(
                name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"]
            )
        elif self.streams and not self.seen:
            more = message.get("more_body", False)
            text = self.held + message.get("body", b"")
            self.seen = self.ends.search(self.tail + text) is not None
            if self.seen:
                self.held = b""
            else:
                whole = text.rfind(b"\n") + 1
                text, self.held = text[:whole], text[whole:]
                self.tail = (self.tail + text)[-_OVERLAP:]
                if not more:
                    text += self._cut()
            message = {**message, "body": text}
        await self._send(message)

    def _cut(self):
        gap = b"" if self.tail.endswith(b"\n\n") or self.tail == b"\n" else b"\n"
        if self.route.name == "responses":
            event = {"type": "error", "code": "server_error", "message": CUT, "param": None, "sequence_number": 0}
            return gap + b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
        body = error_body(self.route.api, 502, CUT, code="answer_cut")
        return gap + (b"event: error\n" if self.route.api == "anthropic" else b"") + b"data: " + body + b"\n\n"
