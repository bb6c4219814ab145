"""A model hub that has every repository: /OWNER/NAME/resolve/REVISION/PATH, and the two answers that say what is in one.
Each file has the same content: a pattern of 3 MB, or that of the file named as argument. It listens everywhere at 8000, or at the address
and port that follow. The owner says in words with dashes
between them how it behaves:

cut       closes the connection after each megabyte
slow      sends a megabyte a second
held      sends a half, and the rest only after somebody asked for /release
gated     wants the token "hf_PLANTED-token"
moved     sends on to the owner "good", as a hub does to its store
unranged  cuts once, and then sends the whole file whatever range is asked for
paged     gives its list in pages

GET /requests tells what was asked for: a line each of path, Range and Authorization.
"""
import hashlib
import http.server
import json
import sys
import threading
import time

MEGABYTE = 1_000_000
CONTENT = open(sys.argv[1], "rb").read() if len(sys.argv) > 1 else bytes(range(250)) * (3 * MEGABYTE // 250)
HASH = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "fedcba98" * 5
SMALL = ["README.md", "config.json", "onnx/config.json", "tokenizer.json"]
LARGE = ["m.gguf", "m-mmproj.gguf", "model.safetensors", "pytorch_model.bin", "q-00001-of-00002.gguf", "q-00002-of-00002.gguf"]
requests = []
released = threading.Event()


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/requests":
            return self.answer(200, "\n".join(requests).encode())
        if self.path == "/release":
            released.set()
            return self.answer(200, b"")
        seen = sum(line.startswith(f"{self.path} ") for line in requests)
        requests.append(f"{self.path} {self.headers['Range']} {self.headers['Authorization']}")
        parts = self.path.removeprefix("/api/models").split("/")
        ways = parts[1].split("-")
        if parts[-1] == "none.gguf" or "none" in ways:
            return self.answer(404, b"")
        if "gated" in ways and self.headers["Authorization"] != "Bearer hf_PLANTED-token":
            return self.answer(401, b"")
        if self.path.startswith("/api/"):
            return self.describe(parts[3], ways)
        if "moved" in ways:
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}{self.path.replace(parts[1], 'good')}")
            return self.end_headers()
        self.deliver(ways, seen)

    def describe(self, what, ways):
        if what == "revision":
            answer = {"_id": "1", "id": "any/model", "sha": COMMIT, "lastModified": "2026-01-01"}
            return self.answer(200, json.dumps(answer).encode())
        small = [{"type": "file", "path": path, "size": len(CONTENT), "oid": "1"} for path in SMALL]
        lfs = {"lfs": {"oid": HASH, "size": len(CONTENT), "pointerSize": 130}}
        large = [{"type": "file", "path": path, "size": 130, "oid": "1", **lfs} for path in LARGE]
        if "paged" not in ways:
            return self.answer(200, json.dumps([*small, *large]).encode())
        if "cursor" in self.path:
            return self.answer(200, json.dumps(large).encode())
        following = f'<http://{self.headers["Host"]}{self.path}&cursor=2>; rel="next"'
        self.answer(200, json.dumps(small).encode(), Link=following)

    def deliver(self, ways, seen):
        asked = self.headers["Range"] if "unranged" not in ways else None
        first, _, last = (asked or "bytes=0-")[6:].partition("-")
        body = CONTENT[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{len(CONTENT)}")
        self.send_header("ETag", f'"{HASH}"')
        self.end_headers()
        if "cut" in ways or ("unranged" in ways and seen == 0):
            body = body[:MEGABYTE]
        # A range with an end is somebody who reads the header only.
        half = len(CONTENT) // 2 - int(first) if "held" in ways and not last else 0
        if half > 0 and not released.is_set():
            self.wfile.write(body[:half])
            self.wfile.flush()
            released.wait()
            body = body[half:]
        for begin in range(0, len(body), MEGABYTE // 10):
            self.wfile.write(body[begin : begin + MEGABYTE // 10])
            if "slow" in ways:
                time.sleep(0.1)  # pause: a slow line

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


address, port = sys.argv[2:] or ("", 8000)
http.server.ThreadingHTTPServer((address, int(port)), Hub).serve_forever()
