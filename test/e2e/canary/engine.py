"""A stub engine of OpenAI's chats and completions: ANSWER, and a FAULT that its proof does not find.

FAULT: errors (every second request after the first one gets 500). PORT: default 8188.
"""

import http.server
import itertools
import json
import os
import re

ANSWER = os.environ["ANSWER"]
FAULT = os.environ.get("FAULT")
turns = itertools.count()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.reply(200, {"status": "ok"})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if next(turns) % 2 == 1 and FAULT == "errors":
            return self.reply(500, {"error": {"message": "a fault of this test"}})
        chats = self.path.endswith("/chat/completions")
        if not request.get("stream"):
            said = {"message": {"role": "assistant", "content": ANSWER}} if chats else {"text": ANSWER}
            return self.reply(200, {"id": "one", "model": "m", "choices": [{"index": 0, **said, "finish_reason": "stop"}]})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for text in re.findall(r"\S+\s*", ANSWER):
            self.choice({"delta": {"content": text}} if chats else {"text": text}, None)
        self.choice({"delta": {}} if chats else {"text": ""}, "stop")
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def choice(self, said, reason):
        self.event(json.dumps({"id": "one", "model": "m", "choices": [{"index": 0, **said, "finish_reason": reason}]}))

    def event(self, text):
        data = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("0.0.0.0", int(os.environ.get("PORT", "8188"))), Handler).serve_forever()
