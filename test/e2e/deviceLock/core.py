"""An engine with a core of its own, which can die while the rest answers: /health is 200 and the metrics are what they last were.

core.py PORT, or any command line with --port PORT. /tmp/core says how the core is, read at each request; a start removes it,
unless it says `dead always`.

  dead      gives nothing any more, and nothing moves
  slow      gives nothing yet, and its metrics move: a long prompt
  dull      answers, and its metrics do not move
  mute      answers no health check either
  garbage   answers everything with what is no HTTP
"""
import json
import os
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATE = "/tmp/core"
# Seconds between two chunks of a stream.
PACE = 0.5
steps = 0


def core():
    try:
        with open(STATE) as file:
            return file.read().strip()
    except FileNotFoundError:
        return "well"


def say(what):
    print(f"event {what} {time.time():.3f}", flush=True)


def works():
    """Waits for the core; True where a step of it counts."""
    global steps
    while core() not in ("well", "dull"):
        time.sleep(0.1)  # pause: until the core is another one
    steps += core() == "well"


def completion(asked):
    """An answer as a whole, and as a stream: one that asks for `forever` gets that."""
    # LiteLLM's log of spend keeps one row for an id.
    about = {"id": f"core-{uuid.uuid4()}", "created": 0, "model": "core", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}

    def events():
        while True:
            choice = {"index": 0, "finish_reason": None, "text": "x ", "delta": {"role": "assistant", "content": "x "}}
            yield f"data: {json.dumps({**about, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
            if "forever" not in json.dumps(asked):
                break
            time.sleep(PACE)  # pause: a stream has its pace
        end = {"index": 0, "finish_reason": "stop", "delta": {}}
        yield f"data: {json.dumps({**about, 'object': 'chat.completion.chunk', 'choices': [end]})}\n\n"
        yield "data: [DONE]\n\n"

    choice = {"index": 0, "finish_reason": "stop", "text": "x", "message": {"role": "assistant", "content": "x"}}
    return {**about, "object": "chat.completion", "choices": [choice]}, events()


def messages(asked):
    """The same in Anthropic's words."""
    block = {"type": "text", "text": "x"}
    whole = {"id": "core", "type": "message", "role": "assistant", "model": "core", "content": [block], "stop_reason": "end_turn"}
    whole |= {"stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    parts = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return whole, (f"event: {part['type']}\ndata: {json.dumps(part)}\n\n" for part in parts)


class Engine(BaseHTTPRequestHandler):
    def handle_one_request(self):
        if core() == "garbage":
            self.close_connection = True
            return self.wfile.write(os.urandom(64))
        return super().handle_one_request()

    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        global steps
        if core() == "mute":
            time.sleep(600)  # pause: it hangs
        if self.path == "/health":
            return self.reply("ok")
        steps += core() == "slow"
        self.reply(f"llamacpp:n_decode_total {steps}\nllamacpp:requests_total {time.time()}\n")

    def do_POST(self):
        say("asked")
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(raw or b"{}")
        works()
        whole, events = messages(asked) if self.path.endswith("messages") else completion(asked)
        if not asked.get("stream"):
            return self.reply(json.dumps(whole))
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            works()
            self.wfile.write(f"{len(event):x}\r\n{event}\r\n".encode())
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


words = sys.argv[1:]
port = words[words.index("--port") + 1] if "--port" in words else words[0]
say("loading")
if os.path.exists(STATE) and core() != "dead always":
    os.remove(STATE)
server = Server(("0.0.0.0", int(port)), Engine)
say("loaded")
threading.Thread(target=server.serve_forever).start()
