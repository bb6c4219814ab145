"""A model server that keeps what it was asked: OpenAI's chat completions, standard library only: python3 recorder.py

It answers every question with `seen`. GET /recorded gives the last request's body, byte for byte.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

recorded = b"null"


class Recorder(BaseHTTPRequestHandler):
    def reply(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        self.reply("application/json", recorded)

    def do_POST(self):
        global recorded
        recorded = self.rfile.read(int(self.headers["Content-Length"]))
        request = json.loads(recorded)
        about = {"id": "recorder", "created": 0, "model": request["model"]}
        said = {"role": "assistant", "content": "seen"}
        if not request.get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            whole = {**about, "object": "chat.completion", "choices": [choice], "usage": usage}
            return self.reply("application/json", json.dumps(whole).encode())
        parts = [(said, None), ({}, "stop")]
        choices = [[{"index": 0, "delta": delta, "finish_reason": finish}] for delta, finish in parts]
        chunks = [json.dumps({**about, "object": "chat.completion.chunk", "choices": each}) for each in choices]
        self.reply("text/event-stream", "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", 8000), Recorder).serve_forever()
