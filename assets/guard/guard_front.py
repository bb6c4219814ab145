"""Looks at each request for a model before LiteLLM does: a layer in front of its web application."""

import base64
import json
import re
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.requests import Request

from guard_answers import Ending, Refusal, alive, answer
from guard_body import Refused, look, look_at_form
from guard_conversation import asking, conversation_of

# What clients of models use, whatever else a gateway serves.
_CLIENTS = re.compile(r"/(?:v1/)?(?:chat/completions|completions|embeddings|messages|models|responses|rerank|audio|images|moderations)(?:/|$)")
# An answer that a server keeps, by its id.
_KEPT_ANSWER = re.compile(r"(?:^|/)responses/([^/]+)(?:/(?:cancel|input_items))?/?$")
# One segment of a path, whoever reads it.
_PLAIN = re.compile(r"(?!\.+$)[A-Za-z0-9_.+=-]+")
_KEPT_QUERY = frozenset(
    ["stream", "starting_after", "include", "include[]", "include_obfuscation", "after", "before", "limit", "order"]
)
_FORM_ROUTES = ("audio/transcriptions", "audio/translations", "images/edits")
_FORMS = (b"multipart/form-data", b"application/x-www-form-urlencoded")
# Of these families a client sends only what the rules name.
_STEERING_HEADERS = (b"x-litellm-", b"litellm-", b"litellm_", b"x-pass-", b"x-mcp-", b"langfuse", b"x-headroom-", b"cache-control")
# The edge asks this of each gateway every second, and Docker does. LiteLLM's router looks at hundreds of routes before it answers.
_ALIVE = "/health/liveliness"
# Bytes up to which what only Python's own parser reads is read again.
_REPAIRED = 1024 * 1024


class Front:
    def __init__(self, app, rules, is_ending=None):
        """`is_ending`: whether the gateway drains; without it LiteLLM itself says whether it lives."""
        self.app = app
        self.rules = rules
        self._is_ending = is_ending or (lambda: True)
        self._streams = frozenset(["chat/completions", "completions", "messages", "responses"])
        ends = "|".join(re.escape(name) for name in sorted(rules.routes, key=len, reverse=True))
        self._route = re.compile(f"(?:^|/)({ends})/?$")

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            # Its frames go past the router and everything here.
            return await _close(receive, send)
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"] == _ALIVE and scope["method"] == "GET" and not self._is_ending():
            return await alive(send)
        # The UI reads the errors of its own routes as LiteLLM writes them.
        writes = _CLIENTS.match(scope["path"]) is not None and scope["method"] != "HEAD"
        refusal = Refusal("anthropic" if "/messages" in scope["path"] else "openai", send, writes)
        try:
            await self._look(scope, receive, refusal.send)
        except Exception:
            # Also LiteLLM's own handler of exceptions may raise one.
            await refusal.failed()
            raise

    async def _look(self, scope, receive, send):
        found = self._route.search(scope["path"]) if scope["method"] == "POST" else None
        if found is not None:
            return await self._ask(self.rules.routes[found[1]], scope, receive, send)
        if kept := _KEPT_ANSWER.search(scope["path"]):
            if not _is_plain(kept[1]):
                return await answer(send, "openai", 404, "There is no answer with this id.", "response_id", "not_found")
            return await self._kept(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _ask(self, route, scope, receive, send):
        raw = await _read(receive)
        if raw is None:
            return
        body = None
        try:
            kind = _content_type(scope["headers"])
            if kind in _FORMS:
                await self._look_at_form(route, scope, raw)
            else:
                raw, body = self._look_at_json(route, raw)
                kind = None
        except Refused as refused:
            return await answer(send, route.api, 400, str(refused), refused.param, "parameter_refused")
        headers = self._headers(scope["headers"], len(raw), is_json=kind is None)
        if route.name in self._streams:
            send = Ending(route, send).send
        conversation = self.rules.affinity and conversation_of(route.name, scope["headers"], body)
        # LiteLLM reads it again, and it may be large.
        del body
        with asking(conversation):
            await self.app({**scope, "headers": headers, "query_string": b""}, _replay(raw, receive), send)

    def _look_at_json(self, route, raw):
        """The bytes to go on with, and what they say: those that came, unless something is left out."""
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            body = _repaired(raw)
            kept = look(body, route, self.rules)
        else:
            kept = look(body, route, self.rules)
            if kept is body:
                return raw, body
        try:
            return orjson.dumps(kept), kept
        except (TypeError, ValueError, RecursionError):
            raise Refused("The body is no JSON that can be passed on.") from None

    async def _look_at_form(self, route, scope, raw):
        if route.name not in _FORM_ROUTES:
            raise Refused("This route takes JSON and no form.")
        # Read by what LiteLLM reads it with, so that both see the same fields.
        request = Request(scope, _replay(raw, _nothing))
        try:
            async with request.form() as form:
                look_at_form(form.multi_items(), route, self.rules)
        except Refused:
            raise
        except Exception:
            raise Refused("The form cannot be read.") from None

    async def _kept(self, scope, receive, send):
        raw = await _read(receive)
        if raw is None:
            return
        if raw.strip() not in (b"", b"{}"):
            return await answer(send, "openai", 400, "This route takes no body.", None, "parameter_refused")
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if name in _KEPT_QUERY]).encode()
        headers = self._headers(scope["headers"], 0, is_json=False)
        await self.app({**scope, "headers": headers, "query_string": query}, _replay(b"", receive), send)

    def _headers(self, headers, length, is_json):
        kept = [
            pair
            for pair in headers
            if (name := pair[0].lower()) not in (b"content-length", b"transfer-encoding")
            and (not name.startswith(_STEERING_HEADERS) or name in self.rules.headers)
            and not (is_json and name == b"content-type")
        ]
        if is_json:
            kept.append((b"content-type", b"application/json"))
        kept.append((b"content-length", str(length).encode()))
        return kept


def _is_plain(given):
    """LiteLLM decodes an id, and puts what is in it into the address at the server, with the server's key."""
    if not _PLAIN.fullmatch(given):
        return False
    try:
        inner = base64.b64decode(given.replace("resp_", "")).decode()
    except ValueError:
        return True
    _, *parts = inner.split(";")
    return not parts or _PLAIN.fullmatch(parts[-1].removeprefix("response_id:")) is not None and len(parts) == 2


def _content_type(headers):
    """Without its parameters. Two of them would be read differently by different readers."""
    found = [value for name, value in headers if name.lower() == b"content-type"]
    if len(found) > 1:
        raise Refused("The request has more than one Content-Type.")
    return found[0].split(b";", 1)[0].strip().lower() if found else b""


def _repaired(raw):
    """What LiteLLM takes although it is no JSON: NaN and its like."""
    if len(raw) <= _REPAIRED:
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            pass
    raise Refused("The body is no valid JSON.")


async def _read(receive):
    """The whole body; None where the client hung up."""
    message = await receive()
    if message["type"] != "http.request":
        return None
    if not message.get("more_body"):
        return message.get("body", b"")
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _replay(body, receive):
    given = False

    async def replay():
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _nothing():
    return {"type": "http.disconnect"}


async def _close(receive, send):
    await receive()
    await send({"type": "websocket.close", "code": 1008, "reason": "no websockets here"})
