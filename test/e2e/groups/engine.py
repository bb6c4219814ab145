"""A stub engine: NAME PORT SECONDS. It answers after so many seconds, each request in five pieces, and says its name.

With a PYTHONPATH it takes vLLM's part to sleep and wake, in the middleware that vLLM has. Asleep it answers no request right.
"""
import asyncio
import http.server
import os
import signal
import sys
import threading
import time
import types

name, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if os.path.exists("/etc/gpubox/fail"):
    sys.exit("there is no such model")
if os.path.exists("/etc/gpubox/slow"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(seconds)  # pause: the load of a model
print("loaded", flush=True)

asleep = set()


class Engine:
    """What vLLM's API server asks to sleep and wake."""

    async def sleep(self, level):
        asleep.update(("weights", "kv_cache") if level == 1 else ("weights", "kv_cache", "unread"))
        print(f"asleep at level {level}", flush=True)

    async def wake_up(self, tags=None):
        if os.path.exists("/etc/gpubox/restless"):
            raise RuntimeError("no memory is left")
        asleep.difference_update(tags or ("weights", "kv_cache"))

    async def collective_rpc(self, method):
        if method == "reload_weights" and "weights" not in asleep:
            asleep.discard("unread")

    async def is_sleeping(self):
        return bool(asleep)


def follow_orders():
    import gpubox_sleep

    async def startup(scope, receive, send):
        await asyncio.Event().wait()

    app = types.SimpleNamespace(state=types.SimpleNamespace(engine_client=Engine()))
    asyncio.run(gpubox_sleep.Sleep(startup)({"type": "lifespan", "app": app}, None, None))


if "PYTHONPATH" in os.environ:
    threading.Thread(target=follow_orders, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pause = float(self.headers.get("x-pause", "0.05"))
        for _ in range(5):
            piece = b"zzz " if asleep else f"{name} ".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(pause)  # pause: the time between two tokens
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


Server(("0.0.0.0", port), Handler).serve_forever()
