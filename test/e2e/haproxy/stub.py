"""A stand-in for a gateway or a backend: answers what a test asks for, and says what reached it.

NAME: who it says it is. KEY: the only key that it takes, in any of the three header fields; without it every request is
let in. PORT: default 4000.
What a request's query asks for, of the stub called X alone with at=X: stream=N a numbered event each 100 ms for N seconds, late=N its first one only after N seconds; silent=N nothing for N seconds first;
status=N that status; anonymous=1 no Server header; close=1 the end of the connection without an answer, cut=1 within an answer; location=URL a redirect; die=1 the end of the process without an answer; id=X a name to count by, which
/counts?id=X tells. Everything else echoes the request, with the number of its connection. While /tmp/unwell exists, health checks fail.
"""

import itertools
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME = os.environ.get("NAME", "stub")
KEY = os.environ.get("KEY")
counts: dict[str, int] = {}
connections = itertools.count(1)
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer leaves in one piece: whoever kills this process does not cut it in two.
    wbufsize = 65536

    anonymous = False

    def setup(self):
        self.number = next(connections)
        super().setup()

    def log_message(self, *args):
        pass

    def send_response(self, status, message=None):
        (self.send_response_only if self.anonymous else super().send_response)(status, message)

    def reply(self, status, value, headers=()):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        """All of it, so that the next request on this connection begins where it ends."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def let_in(self):
        presented = [
            self.headers.get("Authorization", "").removeprefix("Bearer "),
            self.headers.get("x-api-key"),
            self.headers.get("api-key"),
        ]
        return KEY is None or KEY in presented

    def handle_any(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if query.get("at", NAME) != NAME:
            query = {name: value for name, value in query.items() if name in ("id", "stream")}
        self.anonymous = "anonymous" in query
        body = self.body()
        if url.path in ("/health/liveliness", "/health"):
            status = 503 if os.path.exists("/tmp/unwell") else 200
            return self.reply(status, "I'm alive!")
        if url.path == "/counts":
            return self.reply(200, counts.get(query["id"], 0))
        with lock:
            counts[query.get("id", url.path)] = counts.get(query.get("id", url.path), 0) + 1
        if not self.let_in():
            return self.reply(401, {"error": {"message": "the stub does not know this key", "name": NAME}})
        if "die" in query:
            os._exit(9)
        if "close" in query or "cut" in query:
            self.close_connection = True
            if "cut" in query:
                self.chunked()
                self.chunk("data: 1\n\n")
            return None
        if "status" in query:
            return self.reply(int(query["status"]), {"name": NAME})
        if "location" in query:
            return self.reply(307, {"name": NAME}, [("Location", query["location"])])
        time.sleep(float(query.get("silent", 0)))  # pause: the request asks for it
        if "stream" in query:
            return self.stream(float(query["stream"]), float(query.get("late", 0)))
        self.reply(
            200,
            {
                "name": NAME,
                "method": self.command,
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "bytes": len(body),
                "id": query.get("id"),
                "connection": self.number,
            },
        )

    def chunked(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def stream(self, seconds, late):
        self.chunked()
        time.sleep(late)  # pause: the request asks for it
        count = int(seconds * 10)
        try:
            for number in range(count):
                self.chunk(f"data: {NAME} {number} {time.time():.3f}\n\n")
                time.sleep(0.1)  # pause: a stream takes its time
            self.chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        except OSError:
            with lock:
                counts["cut"] = counts.get("cut", 0) + 1

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PUT = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


print("listening", file=sys.stderr, flush=True)
Server(("", int(os.environ.get("PORT", 4000))), Handler).serve_forever()
