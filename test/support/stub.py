"""Model servers in one process, standard library only: python3 stub.py

The first segment of the path names a server: /a/v1/chat/completions asks the server `a`. The last text of a request may tell
what to do: `sleep 2` answers after that many seconds, `status 500` with that status, `only NAME:` before it tells that server alone. To `think` a
chat answers with a thought before its text, to `cached 400` with so many of its tokens from a cache. GET /seen tells by server how many
requests came, how many at most at the same time, the models that they named, and the last one's body and header fields; DELETE /seen forgets.
"""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {}


def server_of(name):
    return seen.setdefault(name, {"requests": 0, "now": 0, "most": 0, "paths": [], "models": [], "last": None, "headers": {}})


class Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body, kind="application/json"):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        with lock:
            text = json.dumps(seen).encode()
        self.reply(200, text)

    def do_DELETE(self):
        with lock:
            seen.clear()
        self.reply(200, {})

    def do_POST(self):
        _, name, path = self.path.split("/", 2)
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        is_json = self.headers["Content-Type"].startswith("application/json")
        request = json.loads(raw) if is_json else {}
        with lock:
            server = server_of(name)
            server["requests"] += 1
            server["now"] += 1
            server["most"] = max(server["most"], server["now"])
            server["paths"].append(path)
            server["models"].append(request.get("model"))
            server["last"] = request
            server["headers"] = {name.lower(): value for name, value in self.headers.items()}
        try:
            self.answer(name, path, request)
        finally:
            with lock:
                server["now"] -= 1

    def answer(self, name, path, request):
        texts = re.findall(r'"(?:content|prompt|input|query|text)": "([^"]*)"', json.dumps(request))
        text = texts[-1] if texts else ""
        if found := re.search(r"sleep ([\d.]+)", text):
            time.sleep(float(found[1]))  # pause: the request asks for it
        found = re.search(r"status (\d+)", text)
        if found and ("only " not in text or f"only {name}:" in text):
            return self.reply(int(found[1]), {"error": {"message": f"{name} was told so", "code": int(found[1])}})
        about = {"id": f"{name}-{time.monotonic_ns()}", "created": 0, "model": request.get("model", name)}
        # LiteLLM expects it of Groq.
        about["service_tier"] = "default"
        usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        if found := re.search(r"cached (\d+)", text):
            usage["prompt_tokens_details"] = {"cached_tokens": int(found[1])}
        if path.endswith("embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
            return self.reply(200, {**about, "object": "list", "data": data, "usage": usage})
        if path.endswith("rerank"):
            return self.reply(200, {**about, "results": [{"index": 0, "relevance_score": 0.5}]})
        if path.endswith("responses"):
            said = {"type": "output_text", "text": f"said by {name}", "annotations": []}
            message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [said]}
            usage = {"input_tokens": 1000, "output_tokens": 1000, "total_tokens": 2000}
            whole = {**about, "created_at": 0, "object": "response", "status": "completed", "output": [message]}
            return self.reply(200, {**whole, "usage": usage, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True})
        if path.endswith("audio/transcriptions"):
            return self.reply(200, {"text": f"heard by {name}"})
        if path.endswith("audio/speech"):
            return self.reply(200, b"spoken", "audio/mpeg")
        said = {"role": "assistant", "content": f"said by {name}"}
        if "think" in text:
            said["reasoning_content"] = f"thought by {name}"
        if not path.endswith("chat/completions"):
            choice = {"index": 0, "text": said["content"], "finish_reason": "stop"}
            return self.reply(200, {**about, "object": "text_completion", "choices": [choice], "usage": usage})
        if not request.get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": "stop"}
            return self.reply(200, {**about, "object": "chat.completion", "choices": [choice], "usage": usage})
        choices = [[{"index": 0, "delta": delta, "finish_reason": end}] for delta, end in ((said, None), ({}, "stop"))]
        chunks = [{**about, "object": "chat.completion.chunk", "choices": each} for each in choices]
        lines = [*map(json.dumps, [*chunks, {**about, "object": "chat.completion.chunk", "choices": [], "usage": usage}])]
        self.reply(200, "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode(), "text/event-stream")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("0.0.0.0", 8000), Stub).serve_forever()
