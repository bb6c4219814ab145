"""An engine that takes its time to load, answers 200 on /health from then on, and says on stdout when it did what.

engine.py SECONDS [EXIT_CODE]: SIGTERM ends it with that exit code, also while it loads.
"""
import http.server
import signal
import sys
import time

seconds = float(sys.argv[1])
code = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def say(what):
    print(f"event {what} {time.time():.3f}", flush=True)


def end(*_):
    say("stopped")
    sys.exit(code)


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, end)
say("loading")
time.sleep(seconds)  # pause: an engine that loads
server = http.server.HTTPServer(("127.0.0.1", 8000), Health)
say("loaded")
server.serve_forever()
