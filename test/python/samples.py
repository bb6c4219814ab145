"""Prints every kind of line and record that the writer makes, for the schema to be held against: samples.py FOLDER"""

import asyncio
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "assets" / "trajectory"))

from box import BODY, OK, SAID, Box, failure  # noqa: E402
from support import App, Client, answer, data, stream  # noqa: E402
from trajectory_config import Config  # noqa: E402
from trajectory_store import Store  # noqa: E402


def main(folder):
    store = Store(Config(file=str(folder / "log.jsonl"), settleSeconds=0.1))
    box = Box(folder, store)

    async def fail(scope):
        box.call(scope).starts.append(1.0)
        box.call(scope).fail(failure(1))

    box.run(Client(body=BODY, headers=[(b"user-agent", b"u")]), App(answer(200, SAID), fail, box.succeed))
    box.run(Client(body=b"{\n}"), App(answer(401, {"error": {"message": "no"}})))
    box.run(Client(body=b"no json", hangs_up="upload"), App([]))
    box.run(Client("/v1/audio/speech", b"{}"), App(answer(200, b"\xff", "audio/mpeg"), after=box.succeed))
    box.run(Client("/v1beta/models/m:generateContent", b"{}"), App(answer(200, {}), after=box.succeed))
    app = App(stream(*data({"choices": [{"delta": {"content": "x"}}]})), after=lambda scope: box.succeed(scope, OK))
    box.run(Client(body=b'{"stream":true}'), app)

    async def websocket(scope, receive, send):
        pass

    box.run(Client("/v1/responses", kind="websocket"), websocket)
    store._fail(OSError(28, "No space left on device"))
    store.count(None, {"kind": "stop", "process": store.process, "at": "2026-01-01T00:00:00.000000Z"})
    store.stop()
    store._fail(OSError(28, "No space left on device"))
    marker = json.loads((folder / "log.gap").read_text())
    store.close()
    for name, kind in (("log.jsonl", "line"), ("log.counter.jsonl", "counter")):
        for text in (folder / name).read_text().splitlines():
            print(json.dumps({"kind": kind, "value": json.loads(text)}))
    print(json.dumps({"kind": "counter", "value": marker}))


asyncio.set_event_loop(asyncio.new_event_loop())
main(pathlib.Path(sys.argv[1]))
