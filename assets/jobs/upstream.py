"""Asks a job's upstream, before the job's gateway starts, whether it can serve the job: python3 upstream.py < question.json

The question is {"url", "model", "key", "paths", "call", "seconds"}: base URL up to and with /v1, the name that the server
knows the model by, the key or null, the routes below /v1 to try, whether to try them by a call, and the deadline. Prints one
JSON object, {"ok": true} or {"ok": false, "why", "what"}; `what` is one sentence that never holds the key.
"""

import http.client
import json
import sys
import time
import urllib.parse

question = json.loads(sys.stdin.readline())
address = urllib.parse.urlsplit(question["url"])
deadline = time.monotonic() + question["seconds"]


def request(method, path, body=None):
    """(status, body as text); status 0 where nothing answers."""
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname, address.port, timeout=max(deadline - time.monotonic(), 1))
    headers = {"Content-Type": "application/json", "anthropic-version": "2023-06-01"}
    if question["key"]:
        headers["Authorization"] = f"Bearer {question['key']}"
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.read(1_000_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()


def end(ok, why=None, what=None):
    if what and question["key"]:
        what = what.replace(question["key"], "[key]")
    print(json.dumps({"ok": ok, "why": why, "what": what}))
    sys.exit()


def words(text):
    """What an error says, in one line."""
    try:
        body = json.loads(text)
        error = body.get("error", body)
        text = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        pass
    text = text if isinstance(text, str) else json.dumps(text)
    return " ".join(text.split())[:300] or "no message"


root = address.path.rstrip("/")
status, text = request("GET", f"{root}/models")
if status == 0:
    end(False, "silent", f"It does not answer ({text}).")
if status in (401, 403):
    end(False, "key", f"It refuses the key: {words(text)}.")
try:
    names = [model["id"] for model in json.loads(text)["data"]] if status == 200 else []
except (ValueError, TypeError, KeyError):
    names = []
# A server without such a list is asked by a call alone; a valve has none while its server is away.
if names and question["model"] not in names:
    end(False, "model", f"It has no model {question['model']}; it lists {', '.join(names[:10])}.")
if status == 503:
    end(False, "silent", f"It does not serve now: {words(text)}.")

for path in question["paths"] if question["call"] else []:
    text = f"Say ok. ({time.time_ns()})"
    body = {"model": question["model"], "max_tokens": 1, "messages": [{"role": "user", "content": text}]}
    status, answer = request("POST", f"{root}/{path}", body)
    if status == 0:
        end(False, "silent", f"It did not answer a call ({answer}).")
    if status in (401, 403):
        end(False, "key", f"It refuses the key: {words(answer)}.")
    if status in (404, 405, 501) or status == 400:
        end(False, "protocol", f"It cannot serve /v1/{path}, status {status}: {words(answer)}.")
    # A limit that is used up says nothing against the upstream.
    if status >= 400 and status != 429:
        end(False, "fails", f"It answers a call of /v1/{path} with status {status}: {words(answer)}.")
end(True)
