"""A model hub with one file a repository, /OWNER/NAME/resolve/REVISION/PATH. The owner says how it behaves:

good      sends it
cut       closes the connection after each megabyte
slow      sends a megabyte a second
gated     wants the token "hf_PLANTED-token"
moved     sends on to where `good` is, as a hub does to its store
unranged  cuts once, and then sends the whole file whatever range is asked for

GET /requests tells what was asked for: a line each of path, Range and Authorization.
"""
import http.server
import time

MEGABYTE = 1_000_000
CONTENT = bytes(range(250)) * (3 * MEGABYTE // 250)
requests = []


class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/requests":
            return self.answer(200, "\n".join(requests).encode())
        seen = sum(line.startswith(f"{self.path} ") for line in requests)
        requests.append(f"{self.path} {self.headers['Range']} {self.headers['Authorization']}")
        _, owner, _, _, _, name = self.path.split("/", 5)
        if name == "none.gguf":
            return self.answer(404, b"")
        if owner == "gated" and self.headers["Authorization"] != "Bearer hf_PLANTED-token":
            return self.answer(401, b"")
        if owner == "moved":
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}{self.path.replace('moved', 'good')}")
            return self.end_headers()
        start = int(self.headers["Range"][6:-1]) if self.headers["Range"] and owner != "unranged" else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        rest = CONTENT[start:]
        if owner == "cut" or (owner == "unranged" and seen == 0):
            rest = rest[:MEGABYTE]
        for begin in range(0, len(rest), MEGABYTE // 10):
            self.wfile.write(rest[begin : begin + MEGABYTE // 10])
            if owner == "slow":
                time.sleep(0.1)

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8000), Hub).serve_forever()
