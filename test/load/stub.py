"""A model server for load tests, OpenAI's protocol, standard library only: python3 stub.py [PORT] [ADDRESS]

It echoes the request's nonce in numbered chunks, `<nonce>:0 <nonce>:1 …`, so that a lost, doubled, cut or foreign chunk is
seen by whoever asked. The question says how: `nonce=abc chunks=300 interval=0.1 fault=none`. With another fault it does
wrong: lose, double, foreign (a chunk each), cut (the connection ends in the middle), fake (it ends early, but properly).

The model `refuses` answers 401, `missing` 404, `empty` 200 with nothing in it.
"""

import asyncio
import itertools
import json
import os
import re
import sys

REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found"}
CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
ANSWERS = (f"{os.urandom(4).hex()}-{count}" for count in itertools.count())


def question(body):
    """What the last message that names a nonce asks for."""
    text = json.dumps(body.get("messages") or body.get("prompt"))
    found = re.findall(r"nonce=(\w+) chunks=(\d+) interval=([\d.]+) fault=(\w+)", text)
    nonce, chunks, interval, fault = found[-1] if found else ("pong", "1", "0", "none")
    return nonce, int(chunks), float(interval), fault


def words(nonce, chunks, fault):
    """The chunks in order, with the fault in the middle."""
    said = [f"{nonce}:{i} " for i in range(chunks)]
    middle = chunks // 2
    if fault == "lose":
        del said[middle]
    elif fault == "double":
        said.insert(middle, said[middle])
    elif fault == "foreign":
        said[middle] = f"foreign:{middle} "
    elif fault in ("cut", "fake"):
        del said[middle:]
    return said


def answer(path, model, text, finish, part=None):
    """A whole answer, or a part of a stream when `part` names the key that holds it."""
    if path == TEXT:
        kind, said = "text_completion", {"text": text}
    else:
        kind = "chat.completion.chunk" if part else "chat.completion"
        said = {part or "message": {"role": "assistant", "content": text}}
    choice = {"index": 0, **said, "finish_reason": finish}
    whole = {} if part else {"usage": {"prompt_tokens": 1, "completion_tokens": len(text), "total_tokens": 1 + len(text)}}
    # LiteLLM's spend log has one row for each id.
    return {"id": f"stub-{next(ANSWERS)}", "object": kind, "created": 0, "model": model, "choices": [choice], **whole}


class Cut(Exception):
    """The connection is to be broken off here."""


class Connection:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def request(self):
        """Path and body of the next request."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ", 2)[1]
        length = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
        text = await self.reader.readexactly(int(length[1])) if length else b""
        return path, json.loads(text) if text else {}

    async def reply(self, status, value):
        text = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.writer.write(head.encode() + text)
        await self.writer.drain()

    async def event(self, data):
        text = f"data: {data}\n\n".encode()
        self.writer.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        await self.writer.drain()

    async def stream(self, path, model, said, interval):
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for word in said:
            await asyncio.sleep(interval)  # pause: a model that thinks
            await self.event(json.dumps(answer(path, model, word, None, "delta")))

    async def end(self, path, model):
        await self.event(json.dumps(answer(path, model, "", "stop", "delta")))
        await self.event("[DONE]")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def complete(self, path, body):
        model = body["model"]
        nonce, chunks, interval, fault = question(body)
        said = [] if model == "empty" else words(nonce, chunks, fault)
        if body.get("stream"):
            await self.stream(path, model, said, interval)
        if fault == "cut":
            raise Cut
        if body.get("stream"):
            return await self.end(path, model)
        await asyncio.sleep(interval * chunks)  # pause: a model that thinks
        await self.reply(200, answer(path, model, "".join(said), "stop"))

    async def serve(self):
        path, body = await self.request()
        refusal = {"refuses": 401, "missing": 404}.get(body.get("model"))
        if refusal:
            await self.reply(refusal, {"error": {"message": f"the stub says {refusal}", "code": refusal}})
        elif path in (CHAT, TEXT):
            await self.complete(path, body)
        elif path == "/v1/models":
            await self.reply(200, {"object": "list", "data": [{"id": "echo", "object": "model"}]})
        else:
            await self.reply(404, {"error": {"message": f"the stub has no {path}"}})


async def connected(reader, writer):
    connection = Connection(reader, writer)
    try:
        while True:
            await connection.serve()
    except (Cut, ConnectionError, asyncio.IncompleteReadError):
        # Whoever asked went away, or is to be left alone.
        pass
    finally:
        writer.close()


async def main(port=8000, address="0.0.0.0"):
    server = await asyncio.start_server(connected, address, int(port))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
