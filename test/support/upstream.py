"""A model server that breaks its word, standard library only: python3 upstream.py [further port…]

The first segment of the path says how: /whole/v1/… answers, `cut` closes a stream before its end, `line` in the middle of a line,
`undone` ends one without [DONE], `bare` with [DONE] and no finish_reason, `redirect302` and its like send elsewhere: to port 8001 of
this same process, the canary. `silent` answers nothing and `hesitant` begins a stream without an event, until the client
closes the connection: `left` has the paths where it did. GET /seen on port 8000 tells what came to either, DELETE /seen forgets.
"""

import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {"asked": [], "canary": [], "left": []}
# Seconds that it waits at most for its client to leave.
PATIENCE = 30
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body, headers=()):
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(raw))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def note(self, body):
        place = "canary" if self.server.server_port == 8001 else "asked"
        headers = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            seen[place].append({"method": self.command, "path": self.path, "headers": headers, "body": body})
            return len(seen["asked"]) + len(seen["canary"])

    def do_GET(self):
        if self.path == "/seen":
            with lock:
                return self.reply(200, seen)
        # LiteLLM asks for /v1/models when it likes: only where that leads elsewhere it is of interest.
        if self.server.server_port == 8001:
            self.note(None)
        if not self.sends_elsewhere():
            self.reply(200, {"data": []})

    def sends_elsewhere(self):
        mode = self.path.split("/")[1]
        if self.server.server_port == 8001 or not mode.startswith("redirect"):
            return False
        elsewhere = f"http://{self.headers['Host'].split(':')[0]}:8001{self.path}"
        self.reply(int(mode[len("redirect") :]), {}, [("Location", elsewhere)])
        return True

    def do_DELETE(self):
        with lock:
            for found in seen.values():
                found.clear()
        self.reply(200, {})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            body = {"raw": raw.decode("latin-1")}
        number = self.note(body)
        mode = self.path.split("/")[1]
        if self.sends_elsewhere():
            return
        route = re.sub(r"^.*/v1/", "", self.path.split("?")[0])
        if mode in ("silent", "hesitant"):
            return self.wait_for_the_end(begins=mode == "hesitant")
        if body.get("stream") is True:
            return self.stream(route, mode)
        self.reply(200, whole(route, f"pong {number}"))

    def wait_for_the_end(self, begins):
        self.close_connection = True
        if begins:
            self.begin_stream()
        self.connection.settimeout(PATIENCE)
        try:
            gone = self.connection.recv(1) == b""
        except TimeoutError:
            return
        except ConnectionError:
            gone = True
        if gone:
            with lock:
                seen["left"].append(self.path)

    def begin_stream(self):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

    def stream(self, route, mode):
        self.begin_stream()
        begin, end = EVENTS[route]()
        named = route in ("messages", "responses")
        self.events(begin, named)
        if mode == "line":
            self.wfile.write(b'data: {"type":"content_blo')
        elif mode != "cut":
            self.events([] if mode == "bare" else end, named)
            if not named and mode != "undone":
                self.wfile.write(b"data: [DONE]\n\n")

    def events(self, events, named):
        for event in events:
            kind = f"event: {event['type']}\n" if named else ""
            self.wfile.write(f"{kind}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.01)  # pause: each in a packet of its own

    def log_message(self, *_):
        pass


def whole(route, text):
    if route == "embeddings":
        # The number of the request, so that an old answer can be told from a new one.
        number = float(text.split()[1])
        return {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [number]}], "usage": USAGE}
    if route.endswith("rerank"):
        return {"id": text, "results": [{"index": 0, "relevance_score": float(text.split()[1])}], "usage": USAGE}
    if route == "audio/transcriptions":
        return {"text": text}
    if route == "responses":
        said = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [said]}
        return {**response("completed"), "output": [message]}
    if route == "messages/count_tokens":
        return {"input_tokens": 4711}
    if route == "messages":
        return {**MESSAGE, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    about = {"id": text, "created": 0, "model": "m", "usage": USAGE}
    if route == "completions":
        return {**about, "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]}
    message = {"role": "assistant", "content": text}
    return {**about, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
           "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}


def response(status):
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    return {"id": "r", "object": "response", "created_at": 0, "status": status, "model": "m", "output": [], "tools": [],
            "tool_choice": "auto", "parallel_tool_calls": True, "usage": usage}


def chat():
    about = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    deltas = [({"role": "assistant", "content": "one "}, None), ({"content": "two"}, None), ({}, "stop")]
    chunks = [{**about, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
    return chunks[:2], chunks[2:]


def completion():
    about = {"id": "c", "object": "text_completion", "created": 0, "model": "m"}
    texts = [("one ", None), ("two", None), ("", "stop")]
    chunks = [{**about, "choices": [{"index": 0, "text": text, "finish_reason": end}]} for text, end in texts]
    return chunks[:2], chunks[2:]


def messages():
    begin = [
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one two"}},
    ]
    end = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return begin, end


def responses():
    delta = {"item_id": "i", "output_index": 0, "content_index": 0, "delta": "one two", "logprobs": []}
    begin = [
        {"type": "response.created", "sequence_number": 0, "response": response("in_progress")},
        {"type": "response.output_text.delta", "sequence_number": 1, **delta},
    ]
    return begin, [{"type": "response.completed", "sequence_number": 2, "response": response("completed")}]


EVENTS = {"chat/completions": chat, "completions": completion, "messages": messages, "responses": responses}

if __name__ == "__main__":
    threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", 8001), Server).serve_forever, daemon=True).start()
    for port in sys.argv[1:]:
        threading.Thread(target=ThreadingHTTPServer(("0.0.0.0", int(port)), Server).serve_forever, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", 8000), Server).serve_forever()
