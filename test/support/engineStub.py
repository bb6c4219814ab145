"""A stub of llama-server, `vllm serve` and SGLang's server, standard library only: it takes any command line that names a port.

It answers each question with JSON as its text: `argv`, `missing` (paths of the command line, of two parts or more, that are no files here), and
`waiting`. That counts the clients who asked it to `wait`: they get no answer, and are forgotten when they hang up.
"""

import json
import os
import re
import select
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

argv = sys.argv[1:]
lock = threading.Lock()
waiting = 0


def said():
    paths = [path for word in argv for path in re.findall(r"(?<![\w/.:~-])(?:/[\w.-]+){2,}", word)]
    return json.dumps({"argv": argv, "missing": [path for path in paths if not os.path.exists(path)], "waiting": waiting})


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, body, kind="application/json"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.reply({"data": []})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if '"wait"' in json.dumps(request):
            return self.wait()
        events = answers(self.path, request)
        if not request.get("stream"):
            return self.reply(events[0])
        text = "".join(f"{event}data: {json.dumps(data)}\n\n" for event, data in events[1])
        self.reply(f"{text}{'' if self.path.endswith('messages') else 'data: [DONE]'}\n\n".encode(), "text/event-stream")

    def wait(self):
        global waiting
        with lock:
            waiting += 1
        select.select([self.connection], [], [], 60)
        with lock:
            waiting -= 1
        self.close_connection = True

    def log_message(self, *_):
        pass


def answers(path, request):
    """An answer as a whole, and as the events of a stream."""
    about = {"id": "stub", "created": 0, "model": request.get("model", "")}
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    if path.endswith("messages"):
        block = {"type": "text", "text": said()}
        message = {"id": "stub", "type": "message", "role": "assistant", "model": about["model"], "stop_sequence": None}
        counts = {"usage": {"input_tokens": 3, "output_tokens": 5}}
        delta = {"type": "text_delta", "text": block["text"]}
        parts = [
            {"type": "message_start", "message": {**message, **counts, "content": [], "stop_reason": None}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, **counts},
            {"type": "message_stop"},
        ]
        whole = {**message, **counts, "content": [block], "stop_reason": "end_turn"}
        return whole, [(f"event: {part['type']}\n", part) for part in parts]
    if path.endswith("chat/completions"):
        kind, choice, delta = "chat.completion", {"message": {"role": "assistant", "content": said()}}, {"delta": {"content": said()}}
    else:
        kind, choice, delta = "text_completion", {"text": said()}, {"text": said()}
    chunk = "chat.completion.chunk" if kind == "chat.completion" else kind
    end = {"delta": {}} if kind == "chat.completion" else {"text": ""}
    whole = {**about, "object": kind, "choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": usage}
    parts = [
        {**about, "object": chunk, "choices": [{"index": 0, "finish_reason": None, **delta}]},
        {**about, "object": chunk, "choices": [{"index": 0, "finish_reason": "stop", **end}]},
    ]
    return whole, [("", part) for part in parts]


def port():
    for word, value in zip(argv, argv[1:]):
        if word == "--port":
            return int(value)
    sys.exit("the command line names no port")


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("0.0.0.0", port()), Stub).serve_forever()
