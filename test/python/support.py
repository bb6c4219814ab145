"""A web server's side of a request, without the server: what ASGI says is played to the recorder."""

import asyncio
import json


def lines_of(directory, name="log.jsonl"):
    path = directory / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Client:
    """One request. `answers` are the ASGI messages of the application; None among them waits for the client to hang up."""

    def __init__(self, path="/v1/chat/completions", body=b"{}", headers=(), parts=1, hangs_up=None, kind="http"):
        self.scope = {"type": kind, "method": "POST", "path": path, "headers": list(headers)}
        size = max(1, -(-len(body) // parts))
        chunks = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
        self.messages = [
            {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1} for i, chunk in enumerate(chunks)
        ]
        if hangs_up == "upload":
            self.messages = [{**self.messages[0], "more_body": True}, {"type": "http.disconnect"}]
        self.gone = asyncio.Event()
        if hangs_up == "before":
            self.gone.set()
        self.got = []

    async def receive(self):
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.got.append(message)

    @property
    def status(self):
        return self.got[0]["status"] if self.got else None

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.got[1:])


def answer(status, body, kind="application/json", headers=()):
    start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode()), *headers]}
    return [start, {"type": "http.response.body", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}]


def stream(*chunks):
    """The chunks of an answer as they are sent, one message each."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream; charset=utf-8")]}
    parts = [{"type": "http.response.body", "body": chunk, "more_body": True} for chunk in chunks]
    return [start, *parts, {"type": "http.response.body", "body": b""}]


def data(*events):
    return [b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events]


class App:
    """What stands behind the recorder: reads the body, tells what LiteLLM would tell, and answers."""

    def __init__(self, messages, before=None, after=None):
        self.messages = messages
        self.before = before
        self.after = after
        self.seen = []

    async def __call__(self, scope, receive, send):
        body = (await receive())["body"]
        self.seen.append((scope, body))
        if self.before:
            await self.before(scope)
        for message in self.messages:
            if message is None:
                await receive()
                return
            await send(message)
        if self.after:
            asyncio.get_running_loop().call_soon(self.after, scope)
