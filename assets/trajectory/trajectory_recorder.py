"""Sees each request and each answer on the wire: the outermost layer of LiteLLM's web application.

It counts a request before anything works on it, and writes its lines once the answer has ended. So a request has its lines
whether LiteLLM's callbacks come or not; they only add what the wire does not show.
"""

import asyncio
import itertools
import time

import orjson

from trajectory_call import Call, route_of
from trajectory_line import PROTOCOLS, lines_of
from trajectory_redact import Keys, client_keys, environment_keys, text_without
from trajectory_time import iso

# Carries a request's id to LiteLLM's callbacks.
HEADER = b"x-gpubox-request-id"
RETRY_AFTER_SECONDS = b"5"
# Bytes of an answer from which it is put together beside the event loop.
LARGE = 256 * 1024


class Recorder:
    def __init__(self, app, store, model_keys=None):
        """model_keys: gives the keys of the gateway's models, None while they are not known yet."""
        self.app = app
        self.store = store
        self.calls = {}
        self.stopping = False
        self._numbers = itertools.count(1)
        self._secrets = Keys(environment_keys())
        self._model_keys = model_keys

    def _learn_keys(self):
        """Before the first request is looked at: its body may hold them."""
        keys = self._model_keys()
        if keys is not None:
            self._model_keys = None
            self._secrets = self._secrets.more(keys)

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await self._websocket(scope, receive, send)
        route = route_of(scope["path"]) if scope["method"] == "POST" else None
        if route is None:
            return await self.app(scope, receive, send)
        if self._model_keys is not None:
            self._learn_keys()
        call = Call(scope, route, next(self._numbers), self._secrets)
        # From here on the request counts, so that a stop waits for it.
        self.calls[call.id] = call
        try:
            await self._record(call, scope, receive, send)
        finally:
            del self.calls[call.id]
            if self.stopping and not self.calls:
                self.store.stop()

    def stop(self):
        """From now on the last request that ends closes the log."""
        self.stopping = True
        if not self.calls:
            self.store.stop()

    async def _websocket(self, scope, receive, send):
        path = text_without(scope["path"], self._secrets.more(client_keys(scope)))
        record = {"kind": "websocket", "seq": next(self._numbers), "at": iso(time.time()), "path": path}
        self.store.count(None, record)
        await self.app(scope, receive, send)

    async def _record(self, call, scope, receive, send):
        body, complete = await _read(receive)
        reason = self.store.admit(call.id, call.take_body(body, complete))
        if reason is not None:
            return await _refuse(call, send, reason)
        try:
            if not complete:
                call.disconnected = True
                return
            headers = [pair for pair in scope["headers"] if pair[0] != HEADER]
            headers.append((HEADER, call.id.encode()))
            await self.app({**scope, "headers": headers}, _replay(call, body, receive), self._capture(call, receive, send))
        except asyncio.CancelledError:
            call.cancelled = True
            raise
        except Exception as error:
            call.crash = error
            raise
        finally:
            self._ended(call)
            try:
                if not call.settled and not call.cancelled:
                    await self._settle(call)
                if call.size > LARGE:
                    lines = await asyncio.to_thread(lines_of, call, self.store)
                else:
                    lines = lines_of(call, self.store)
            except asyncio.CancelledError:
                lines = lines_of(call, self.store)
                self.store.write(call.id, lines)
                raise
            except Exception as error:
                self.store.say("ERROR", f"request {call.id} has no line: {type(error).__name__}: {error}")
            else:
                self.store.write(call.id, lines)

    def _capture(self, call, receive, send):
        async def capture(message):
            if message["type"] == "http.response.start":
                call.take_start(message["status"], message["headers"])
                if not call.streamed and _hung_up(receive):
                    call.disconnected = True
            elif message["type"] == "http.response.body":
                call.take_part(message.get("body", b""), message.get("more_body", False))
                if call.finished:
                    # Before the client has it all: what was answered in full is on record as that.
                    self._ended(call)
            await send(message)

        return capture

    def _ended(self, call):
        if call.ended is None:
            self.store.count(call.id, call.end())

    async def _settle(self, call):
        """LiteLLM tells of a success after the answer. The web server has the request as its own until then, and a stop waits."""
        loop = asyncio.get_running_loop()
        call.waiter = loop.create_future()
        timer = loop.call_later(self.store.config.settleSeconds, _resolve, call.waiter)
        try:
            await call.waiter
        finally:
            timer.cancel()


def told(call):
    """After a call was told something."""
    waiter = getattr(call, "waiter", None)
    if waiter is not None and call.settled:
        _resolve(waiter)


def _resolve(waiter):
    if not waiter.done():
        waiter.set_result(None)


async def _read(receive):
    """The whole body, and whether it came to its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts), False
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts), True


def _replay(call, body, receive):
    given = False

    async def replay():
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        message = await receive()
        if message["type"] == "http.disconnect" and not call.finished:
            call.disconnected = True
        return message

    return replay


def _hung_up(receive):
    """Whether the client is gone, without waiting for it: a step into `receive`, which would wait if the client were there."""
    # Uvicorn knows without it, for a fraction of the time.
    known = getattr(getattr(receive, "__self__", None), "disconnected", None)
    if isinstance(known, bool):
        return known
    step = receive()
    try:
        step.send(None)
    except StopIteration as message:
        return message.value["type"] == "http.disconnect"
    except Exception:
        return False
    step.close()
    return False


async def _refuse(call, send, reason):
    message = f"The trajectory log cannot be written ({reason}), and this gateway takes no request without it."
    error = {"message": message, "type": "service_unavailable", "code": "trajectory_log"}
    body = {"error": error}
    if call.route.startswith("messages"):
        body = {"type": "error", "error": {"type": "overloaded_error", "message": message}}
    elif PROTOCOLS.get(call.route) == "google":
        body = {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}
    raw = orjson.dumps(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(raw)).encode()),
        (b"retry-after", RETRY_AFTER_SECONDS),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": raw})
