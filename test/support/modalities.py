"""A server of every route of OpenAI's API and of Anthropic's, standard library only: python3 modalities.py

It prints a line of JSON for each request: method, path, key, and the body: its JSON, or the parts of its form with the hash of
each file. `modalities.ts` has the same answers in its own words.
"""

import hashlib
import json
import re
import sys
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKENS = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
SPOKEN = bytes(range(256)) * 4096


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, body, kind="application/json", status=200):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def note(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type") or ""
        body = {"form": parts_of(kind, raw)} if kind.startswith("multipart/") else {"json": json.loads(raw or b"null")}
        key = self.headers.get("Authorization")
        print(json.dumps({"method": self.command, "path": self.path, "key": key, **body}), flush=True)
        return body.get("json") or {part["name"]: part.get("text") for part in body.get("form", [])}

    def do_GET(self):
        if self.path in ("/health", "/v1/models"):
            return self.reply({"data": []})
        self.note()
        kept = re.fullmatch(r"/v1/responses/(\w+)(/input_items)?", self.path.split("?")[0])
        if not kept:
            return self.reply({"error": {"message": "no such route"}}, status=404)
        self.reply(RESPONSE if not kept[2] else {"object": "list", "data": [], "has_more": False})

    def do_DELETE(self):
        self.note()
        self.reply({"id": "resp_1", "object": "response", "deleted": True})

    def do_POST(self):
        request = self.note()
        route = self.path.split("?")[0].removeprefix("/v1/")
        if request.get("stream") in (True, "true") and route in STREAMS:
            return self.reply(events_of(STREAMS[route]), "text/event-stream")
        if route == "audio/speech":
            return self.reply(SPOKEN, "audio/mpeg")
        if route not in WHOLE:
            return self.reply({"error": {"message": "no such route"}}, status=404)
        self.reply(WHOLE[route])

    def log_message(self, *_):
        pass


def parts_of(kind, raw):
    """The parts of a form in their order. A file is told by its name, size and hash."""
    found = []
    for part in BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw).iter_parts():
        content = part.get_payload(decode=True)
        about = {"name": part.get_param("name", header="content-disposition")}
        if (file := part.get_filename()) is None:
            found.append({**about, "text": content.decode()})
        else:
            found.append({**about, "file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    return found


def events_of(events):
    """OpenAI's older routes have events without a name, and a last one."""
    named = "type" in events[0]
    lines = [f"event: {event['type']}\n" if named else "" for event in events]
    data = [f"{line}data: {json.dumps(event)}\n\n" for line, event in zip(lines, events)]
    return "".join(data + ([] if named else ["data: [DONE]\n\n"])).encode()


def chat_chunk(delta, end):
    choices = [{"index": 0, "delta": delta, "finish_reason": end}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


def text_chunk(text, end):
    choices = [{"index": 0, "text": text, "finish_reason": end}]
    return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices}


def response(status, output):
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": output,
            "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "usage": usage}


SAID = {"type": "output_text", "text": "one two", "annotations": []}
RESPONSE = response("completed", [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [SAID]}])
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
USED = {"input_tokens": 3, "output_tokens": 2}
ABOUT = {"id": "c", "created": 1, "model": "m", "usage": TOKENS}
PICTURE = {"created": 1, "data": [{"b64_json": "cGljdHVyZQ=="}]}
WHOLE = {
    "chat/completions": {**ABOUT, "object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}]},
    "completions": {**ABOUT, "object": "text_completion", "choices": [{"index": 0, "text": "one two", "finish_reason": "stop"}]},
    "messages": {**MESSAGE, "content": [{"type": "text", "text": "one two"}], "stop_reason": "end_turn", "usage": USED},
    "messages/count_tokens": {"input_tokens": 4711},
    "responses": RESPONSE,
    "responses/resp_1/cancel": {**RESPONSE, "status": "cancelled"},
    "embeddings": {"object": "list", "model": "m", "usage": TOKENS, "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]},
    "rerank": {"id": "r", "results": [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}], "usage": TOKENS},
    "audio/transcriptions": {"text": "one two"},
    "images/generations": PICTURE,
    "images/edits": PICTURE,
    "moderations": {"id": "m", "model": "m", "results": [
        {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.75}}]},
}
STREAMS = {
    "chat/completions": [chat_chunk({"role": "assistant", "content": "one "}, None), chat_chunk({"content": "two"}, None), chat_chunk({}, "stop")],
    "completions": [text_chunk("one ", None), text_chunk("two", None), text_chunk("", "stop")],
    "messages": [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": USED}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "two"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USED},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.created", "sequence_number": 0, "response": response("in_progress", [])},
        *({"type": "response.output_text.delta", "sequence_number": number, "item_id": "m", "output_index": 0, "content_index": 0,
           "delta": delta, "logprobs": []} for number, delta in enumerate(["one ", "two"], 1)),
        {"type": "response.completed", "sequence_number": 3, "response": RESPONSE},
    ],
    "audio/transcriptions": [
        *({"type": "transcript.text.delta", "delta": delta} for delta in ("one ", "two")),
        {"type": "transcript.text.done", "text": "one two"},
    ],
    "images/generations": [{"type": "image_generation.completed", **PICTURE["data"][0], "created_at": 1}],
    "images/edits": [{"type": "image_edit.completed", **PICTURE["data"][0], "created_at": 1}],
}

if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Server).serve_forever()
