"""Takes every POST and keeps it, standard library only: python3 receiver.py

GET /received gives all of them as JSON: path, Authorization, and the body in base64.
"""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

received = []


class Receiver(BaseHTTPRequestHandler):
    def reply(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.reply(json.dumps(received).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        about = {"path": self.path, "authorization": self.headers.get("Authorization")}
        received.append({**about, "body": base64.b64encode(body).decode()})
        self.reply(b"{}")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", 8000), Receiver).serve_forever()
