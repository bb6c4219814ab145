#!/usr/bin/env python3
"""A stand-in for LiteLLM, in an image of its own, for tests whose subject is not LiteLLM: litellm --config FILE --port PORT

It reads the config that gpubox writes, keeps the master key, drains on request, lists the models, and asks the first
deployment of a model through its valve on both protocols, plain and streamed. Of a database it knows what a smoke test asks: keys,
in its memory, that have spent nothing. It knows no callbacks, limits or cache.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import os
import secrets
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml


def value(setting):
    """A setting of the config, which may name a variable."""
    text = str(setting or "")
    return os.environ.get(text.removeprefix("os.environ/"), "") if text.startswith("os.environ/") else text


class Gateway(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, config, port):
        self.models = {}
        for entry in config.get("model_list") or []:
            self.models.setdefault(entry["model_name"], entry["litellm_params"])
        self.aliases = (config.get("router_settings") or {}).get("model_group_alias") or {}
        general = config.get("general_settings") or {}
        self.key = value(general.get("master_key"))
        self.drain_token = value(general.get("drain_endpoint_token"))
        self.database = "connected" if os.environ.get("DATABASE_URL") else "Not connected"
        self.deleted = set()
        self.draining = False
        self.running = 0
        self.changed = threading.Condition()
        super().__init__(("0.0.0.0", port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def fail(self, status, message):
        self.reply(status, {"error": {"message": message, "type": "None", "param": "None", "code": str(status)}})

    def allowed(self):
        given = self.headers.get("x-api-key") or self.headers.get("Authorization", "").removeprefix("Bearer ")
        return not self.server.key or self.made(given) or hmac.compare_digest(given.encode(), self.server.key.encode())

    def signed(self, name):
        """A key that every replica knows, as they share the master key and nothing else."""
        return f"sk-{name}{hmac.new(self.server.key.encode(), name.encode(), 'sha256').hexdigest()[:32]}"

    def made(self, key):
        return key == self.signed(key[3:19]) and hashlib.sha256(key.encode()).hexdigest() not in self.server.deleted

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/health/drain":
            return self.drain()
        if path.startswith("/health/"):
            if self.server.draining:
                return self.fail(503, "Service is draining")
            return self.reply(200, {"status": "healthy", "db": self.server.database})
        if not self.allowed():
            return self.fail(401, "Authentication Error, Invalid proxy server token passed.")
        if path in ("/v1/models", "/models"):
            names = [*self.server.models, *self.server.aliases]
            listed = [{"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in names]
            return self.reply(200, {"data": listed, "object": "list"})
        empty = {
            "/team/list": [],
            "/key/list": {"keys": [], "total_pages": 1},
            "/user/list": {"users": [], "total_pages": 1},
        }
        if path in empty:
            return self.reply(200, empty[path])
        if path == "/spend/logs":
            asked = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            return self.reply(200, [{"api_key": token, "spend": 0} for token in asked.get("api_key", [])])
        self.fail(404, "Not Found")

    def drain(self):
        if not hmac.compare_digest(self.headers.get("X-Drain-Token", ""), self.server.drain_token):
            return self.fail(401, "Invalid drain token")
        self.server.draining = True
        with self.server.changed:
            self.server.changed.wait_for(lambda: self.server.running == 0)
        self.reply(200, {"status": "drained"})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.allowed():
            return self.fail(401, "Authentication Error, Invalid proxy server token passed.")
        with self.server.changed:
            self.server.running += 1
        try:
            self.answer(urllib.parse.urlsplit(self.path).path, json.loads(raw))
        finally:
            with self.server.changed:
                self.server.running -= 1
                self.server.changed.notify_all()

    def answer(self, path, request):
        if path == "/key/generate":
            key = self.signed(secrets.token_hex(8))
            return self.reply(200, {"key": key, "token": hashlib.sha256(key.encode()).hexdigest()})
        if path == "/key/delete":
            self.server.deleted.update(request["keys"])
            return self.reply(200, {"deleted_keys": request["keys"]})
        name = request.get("model")
        deployment = self.server.models.get(self.server.aliases.get(name, name))
        if not deployment:
            return self.fail(400, f"Invalid model name passed in model={name}. Call `/v1/models` to view available models.")
        request = {**request, "model": deployment["model"].partition("/")[2]}
        request.pop("cache", None)
        asked = "/chat/completions" if path.endswith("/messages") else path.removeprefix("/v1")
        base = urllib.parse.urlsplit(deployment.get("api_base", ""))
        kind = http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
        upstream = kind(base.hostname, base.port, timeout=float(deployment.get("timeout", 600)))
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {value(deployment.get('api_key'))}"}
        try:
            upstream.request("POST", base.path + asked, json.dumps(request), headers)
            response = upstream.getresponse()
            if response.status != 200:
                return self.fail(response.status, response.read().decode("utf-8", "replace"))
            if request.get("stream"):
                events = self.messages(response) if path.endswith("/messages") else iter(response.readline, b"")
                return self.stream(events)
            body = json.loads(response.read())
            self.reply(200, message(body) if path.endswith("/messages") else body)
        except (OSError, http.client.HTTPException) as error:
            self.fail(500, f"InternalServerError: Connection error: {error}")
        finally:
            upstream.close()

    def stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def messages(self, response):
        """The events of the Anthropic protocol that say what a stream of the OpenAI protocol says."""
        start = {"id": "msg_stub", "type": "message", "role": "assistant", "content": [], "model": "stub",
                 "usage": {"input_tokens": 1, "output_tokens": 0}}
        yield event("message_start", message=start)
        yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for line in iter(response.readline, b""):
            data = line.removeprefix(b"data: ").strip()
            if not line.startswith(b"data: ") or data == b"[DONE]":
                continue
            for choice in json.loads(data).get("choices", []):
                text = choice.get("delta", {}).get("content")
                if text:
                    yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
        yield event("content_block_stop", index=0)
        yield event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
        yield event("message_stop")


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def message(body):
    """An answer of the OpenAI protocol as one of the Anthropic protocol."""
    usage = body.get("usage") or {}
    counted = {"input_tokens": usage.get("prompt_tokens", 0), "output_tokens": usage.get("completion_tokens", 0)}
    text = body["choices"][0]["message"].get("content") or ""
    return {"id": "msg_stub", "type": "message", "role": "assistant", "model": body.get("model"), "stop_reason": "end_turn",
            "content": [{"type": "text", "text": text}], "usage": counted}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--num_workers")
    parser.add_argument("--validate_config", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.config, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    if not arguments.validate_config:
        Gateway(config, arguments.port).serve_forever()


if __name__ == "__main__":
    main()
