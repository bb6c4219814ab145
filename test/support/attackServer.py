"""What an attack is aimed at, standard library only: python3 attackServer.py upstream|canary PORT…

An `upstream` is a model server that keeps what it was asked and answers it with `echo: <the last text>`. The last text may tell
what to do: `do:sleep=2` answers after that many seconds; `do:redirect=302,URL` redirects; `do:cut=close|chunked|length` ends
the answer in the middle. A `canary` waits where nothing should ever come; its answer is the word CANARY.

Both keep every connection that sends a byte, and anything else than HTTP too. At port 9000, GET gives what was kept as JSON,
DELETE forgets it.
"""

import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTROL = 9000
role, *ports = sys.argv[1:]
lock = threading.Lock()
kept = []
now = 0
most = 0


class Control(BaseHTTPRequestHandler):
    def do_GET(self):
        with lock:
            text = json.dumps({"requests": kept, "most": most}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_DELETE(self):
        global most
        with lock:
            kept.clear()
            most = now
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def read_request(stream):
    """Head and body as bytes; what is no HTTP is all head."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(65536)
        if not line:
            break
        head += line
        if len(head) == len(line) and not re.match(rb"[A-Z]+ \S+ HTTP/", line):
            break
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length:
        return head, stream.read(int(length[1]))
    body = b""
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        while size := int(stream.readline().split(b";")[0] or b"0", 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    return head, body


def keep(port, head, body):
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [line.split(":", 1) for line in lines if ":" in line]
    words = first.split(" ")
    record = {
        "port": port,
        "method": words[0][:200],
        "path": words[1] if len(words) > 1 else "",
        "headers": {name.lower(): value.strip() for name, value in fields},
        "body": body[:65536].decode("latin-1"),
    }
    with lock:
        kept.append(record)
    return record


def last_text(record):
    texts = re.findall(r'"(?:content|prompt|input|query|text)": ?"((?:[^"\\]|\\.)*)"', record["body"])
    return texts[-1] if texts else ""


def sse(lines):
    return "".join(f"data: {line}\n\n" for line in lines)


def chat_chunks(text):
    about = {"id": "x", "created": 0, "model": "m", "object": "chat.completion.chunk"}
    deltas = [({"role": "assistant", "content": text[:6]}, None), ({"content": text[6:]}, None), ({}, "stop")]
    return [json.dumps({**about, "choices": [{"index": 0, "delta": d, "finish_reason": e}]}) for d, e in deltas]


def text_chunks(text):
    about = {"id": "x", "created": 0, "model": "m", "object": "text_completion"}
    parts = [(text[:6], None), (text[6:], None), ("", "stop")]
    return [json.dumps({**about, "choices": [{"index": 0, "text": p, "finish_reason": e}]}) for p, e in parts]


def message_events(text):
    message = {"id": "x", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {"input_tokens": 1, "output_tokens": 1}
    events = [
        {"type": "message_start", "message": {**message, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def response_of(text, status="completed"):
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": status, "content": [part]}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    about = {"id": "resp_1", "object": "response", "created_at": 0, "model": "m", "status": status, "tools": []}
    return {**about, "output": [message], "tool_choice": "auto", "parallel_tool_calls": True, "usage": usage}


def response_events(text):
    place = {"item_id": "m", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": {**response_of("", "in_progress"), "output": [], "usage": None}},
        {"type": "response.output_text.delta", **place, "delta": text},
        {"type": "response.completed", "response": response_of(text)},
    ]
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered]


def whole(path, text):
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    about = {"id": "x", "created": 0, "model": "m", "usage": usage}
    message = {"role": "assistant", "content": text}
    if path.endswith("chat/completions"):
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**about, "object": "chat.completion", "choices": [choice]}
    if path.endswith("completions"):
        choice = {"index": 0, "text": text, "finish_reason": "stop"}
        return {**about, "object": "text_completion", "choices": [choice]}
    if path.endswith("embeddings"):
        return {**about, "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]}
    if path.endswith("responses"):
        return response_of(text)
    if path.endswith("transcriptions"):
        return {"text": text}
    if path.endswith("messages"):
        usage = {"input_tokens": 1, "output_tokens": 1}
        content = [{"type": "text", "text": text}]
        return {"id": "x", "type": "message", **message, "model": "m", "content": content, "stop_reason": "end_turn", "usage": usage}
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in ("m", "far")]}


def head_of(status, kind, more):
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}\r\n".encode()


def answer(connection, record):
    path = record["path"].split("?")[0]
    said = last_text(record)
    if found := re.search(r"do:sleep=([\d.]+)", said):
        time.sleep(float(found[1]))  # pause: the request asks for it
    if found := re.search(r"do:redirect=(\d+),(\S+)", said):
        more = f"Location: {found[2]}\r\nContent-Length: 0\r\nConnection: close\r\n"
        return connection.sendall(head_of(found[1], "text/html", more))
    text = "CANARY" if role == "canary" else f"echo: {said}"
    stream = re.search(r'"stream": ?true', record["body"]) is not None
    if stream and path.endswith("messages"):
        data = "".join(message_events(text)).encode()
    elif stream and path.endswith("responses"):
        data = "".join(response_events(text)).encode()
    elif stream:
        chunks = chat_chunks(text) if path.endswith("chat/completions") else text_chunks(text)
        data = sse([*chunks, "[DONE]"]).encode()
    else:
        data = json.dumps(whole(path, text)).encode()
    kind = "text/event-stream" if stream else "application/json"
    cut = re.search(r"do:cut=(\w+)", said)
    if cut is None:
        return connection.sendall(head_of(200, kind, f"Content-Length: {len(data)}\r\nConnection: close\r\n") + data)
    # In the middle of an event's line, where what came so far is no JSON.
    ends = (b"finish_reason", b"stop_reason", b"annotations", b"object", b"text")
    part = data[: data.rindex(next(end for end in ends if end in data)) - 40]
    how = {
        "close": "Connection: close\r\n",
        "chunked": "Transfer-Encoding: chunked\r\n",
        "length": f"Content-Length: {len(data)}\r\n",
    }[cut[1]]
    sent = f"{len(part):x}\r\n".encode() + part + b"\r\n" if cut[1] == "chunked" else part
    connection.sendall(head_of(200, kind, how) + sent)


def serve(connection, port):
    global now, most
    try:
        connection.settimeout(60)
        stream = connection.makefile("rb")
        head, body = read_request(stream)
        if not head:
            return
        if head.startswith(b"GET /health "):
            return connection.sendall(head_of(200, "application/json", "Content-Length: 2\r\nConnection: close\r\n") + b"{}")
        record = keep(port, head, body)
        with lock:
            now += 1
            most = max(most, now)
        try:
            answer(connection, record)
        finally:
            with lock:
                now -= 1
    except (OSError, ValueError):
        pass
    finally:
        # A reset instead of an end would take along what was not read yet.
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()


def listen(port):
    server = socket.create_server(("", port), backlog=1024)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=serve, args=(connection, port), daemon=True).start()


for each in ports:
    threading.Thread(target=listen, args=(int(each),), daemon=True).start()
ThreadingHTTPServer(("", CONTROL), Control).serve_forever()
