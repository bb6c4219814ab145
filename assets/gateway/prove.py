#!/usr/bin/env python3
"""Prove a new gateway before any traffic goes to it. Runs inside its container:

    docker exec -i GATEWAY python3 /etc/gpubox/prove.py [--deadline SECONDS] < serving-generation.json

Standard input is the generation.json of the generation that serves now, or nothing when none serves. Only models that
are new or changed against it are called: a model that is down for other reasons must not block this change.

Prints one line per step. On failure prints one sentence to standard error and exits with 1. The key is never printed.

With --backend it proves one model server by one request, and standard input is the server's key.

GPUBOX_PROVE_URL and GPUBOX_PROVE_DIR point it at another gateway and another directory (for tests).
"""
import argparse
import errno
import http.client
import json
import os
import secrets
import shlex
import signal
import socket
import sys
import time
import urllib.parse

URL = os.environ.get("GPUBOX_PROVE_URL", "http://127.0.0.1:4000")
DIRECTORY = os.environ.get("GPUBOX_PROVE_DIR", "/etc/gpubox")

# 500 and 408 are what LiteLLM answers while a backend refuses connections or is slow: both pass once it is up.
RETRIED = {408, 429, 500, 502, 503, 504}


# What a valve says of a model that a slot could not load, and how often it may: a device may become free a moment later.
NOT_LOADED = "its server did not load"
MOST_LOADS = 3

# Seconds of tries after which a server is given up that lets nobody in. gpubox did not start it, so it does not load for us.
REFUSED_SECONDS = 9


class Failed(Exception):
    """The gateway is not proven; the text is one sentence for the person who waits for it."""


class Gateway:
    """Requests to one gateway, all of them before one deadline."""

    def __init__(self, key, seconds):
        self.key = key
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds

    def request(self, method, path, body=None, timeout=None):
        """One request. Returns (status, parsed or raw body); status 0 stands for no answer at all."""
        # http.client and not urllib: it obeys no proxy variable and carries the key along no redirect.
        address = urllib.parse.urlsplit(URL)
        left = max(self.deadline - time.monotonic(), 0.1)
        connection = http.client.HTTPConnection(
            address.hostname, address.port, timeout=min(left, timeout or left)
        )
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            status = response.status
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error) or type(error).__name__
        finally:
            connection.close()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def until(self, what, attempt, pause=1.0):
        """Calls attempt() until it returns None, with that many seconds between; fails with its last complaint at the deadline."""
        while True:
            complaint = attempt()
            if complaint is None:
                return
            if time.monotonic() + pause >= self.deadline:
                raise Failed(f"{what} within {self.seconds:g} s: {complaint}")
            time.sleep(pause)


def answered(status, body):
    """A bad answer in words."""
    if status == 0:
        return f"no answer ({body})"
    error = body.get("error", body) if isinstance(body, dict) else body
    message = error.get("message", error) if isinstance(error, dict) else error
    text = message if isinstance(message, str) else json.dumps(message)
    return f"status {status}: {' '.join(text.split()) or 'no message'}"


def prove_ready(gateway, with_database):
    def attempt():
        status, body = gateway.request("GET", "/health/readiness", timeout=10)
        if status != 200:
            return answered(status, body)
        database = body.get("db") if isinstance(body, dict) else None
        if with_database and database != "connected":
            return f"its database is {json.dumps(database)} and not \"connected\""
        return None

    # A refused connection costs nothing, and whoever made the change waits for this.
    gateway.until("The gateway was not ready", attempt, pause=0.1)
    print(f"proven: ready{', database connected' if with_database else ''}", flush=True)


def prove_listed(gateway, declared, opens):
    listed = []

    def attempt():
        status, body = gateway.request("GET", "/v1/models", timeout=10)
        if status in RETRIED or status == 0:
            return answered(status, body)
        if status != 200:
            raise Failed(f"The gateway did not list its models: {answered(status, body)}")
        try:
            listed[:] = [entry["id"] for entry in body["data"]]
        except (TypeError, KeyError):
            raise Failed("The gateway's list of models has another shape than OpenAI's.") from None
        return None

    gateway.until("The gateway did not list its models", attempt)
    missing = [name for name in declared if name not in listed]
    extra = [name for name in listed if name not in declared and not name.startswith(opens)]
    if missing or extra:
        faults = [f"lacks {', '.join(missing)}"] if missing else []
        faults += [f"holds {', '.join(extra)}, which the config does not declare"] if extra else []
        raise Failed(f"The gateway's list of models {' and '.join(faults)}.")
    print(f"proven: lists {', '.join(declared) or 'no model'}", flush=True)
    for start in opens:
        print(f"skipped: {start}* opens many models, and names none to call", flush=True)


def prove_guardrails(gateway, names):
    """LiteLLM leaves out a guardrail that it cannot load, and serves without it."""
    if not names:
        return
    status, body = gateway.request("GET", "/v2/guardrails/list", timeout=30)
    try:
        loaded = [one["guardrail_name"] for one in body["guardrails"]]
    except (TypeError, KeyError):
        raise Failed(f"The gateway did not list its guardrails: {answered(status, body)}") from None
    missing = [name for name in names if name not in loaded]
    if missing:
        raise Failed(f"The gateway did not load the guardrail {', '.join(missing)}, and would serve without it.")
    print(f"proven: guards with {', '.join(names)}", flush=True)


def question_for(name, mode, behind=True):
    """Path and body of one small request, new each time: a cache must not answer for a model that is down.

    `behind` is false for a model server that is asked itself: `cache` is LiteLLM's word, and some servers refuse what they do not know.
    """
    text = f"Say a few words. ({secrets.token_hex(4)})"
    common = {"model": name, **({"cache": {"no-cache": True, "no-store": True}} if behind else {})}
    if mode == "embedding":
        return "/v1/embeddings", {**common, "input": text}
    if mode == "rerank":
        return "/v1/rerank", {**common, "query": text, "documents": ["a few words", "nothing"]}
    if mode == "moderation":
        return "/v1/moderations", {**common, "input": text}
    small = {"max_tokens": 8, "temperature": 0}
    if mode == "completion":
        return "/v1/completions", {**common, **small, "prompt": text}
    if mode == "chat":
        return "/v1/chat/completions", {**common, **small, "messages": [{"role": "user", "content": text}]}
    raise Failed(f"Model {name} cannot be proven: there is no proof for mode {mode}.")


def has_no_proof(mode):
    """
    Speech wants a voice that only its model knows, and a transcription wants speech: neither can be made up here. A picture costs
    minutes or money.
    """
    return mode in ("audio_transcription", "audio_speech", "image_generation")


def has_content(body, mode):
    """Whether a 200 answer holds what was asked for. Hidden thoughts leave the text empty but are counted as tokens."""
    try:
        if mode == "embedding":
            return len(body["data"][0]["embedding"]) > 0
        if mode == "rerank":
            return isinstance(body["results"][0]["relevance_score"], (int, float))
        if mode == "moderation":
            return isinstance(body["results"][0]["flagged"], bool)
        choice = body["choices"][0]
        said = choice.get("message") or choice
        text = said.get("content") or said.get("reasoning_content") or said.get("text")
        return bool(text) or (body.get("usage") or {}).get("completion_tokens", 0) > 0
    except (TypeError, KeyError, IndexError, AttributeError):
        return False


def closed(address):
    """Why nobody can connect to `host:port`, or None: a server that is silent or slow may be at work."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except socket.gaierror as error:
        return f"the name {host} is not known" if error.errno == socket.EAI_NONAME else None
    except OSError as error:
        refused = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
        return f"{address}: {error.strerror}" if error.errno in refused else None
    return None


def prove_model(gateway, name, mode, behind=True, servers=()):
    """`servers`: where the model's servers listen, none of which gpubox starts; empty if it starts one."""
    path, body = question_for(name, mode, behind)
    started = time.monotonic()
    failed_loads = []
    closed_since = None

    def give_up_closed():
        nonlocal closed_since
        reasons = [closed(address) for address in servers]
        if not reasons or None in reasons:
            closed_since = None
            return
        closed_since = closed_since or time.monotonic()
        if time.monotonic() - closed_since >= REFUSED_SECONDS:
            raise Failed(f"Model {name} answered no {mode} request, because no server listens: {', '.join(reasons)}")

    def attempt():
        status, answer = gateway.request("POST", path, body)
        if status in RETRIED or status == 0:
            complaint = answered(status, answer)
            if NOT_LOADED in complaint:
                failed_loads.append(complaint)
            if len(failed_loads) == MOST_LOADS:
                raise Failed(f"Model {name} answered no {mode} request: {complaint}")
            give_up_closed()
            return complaint
        if status != 200:
            raise Failed(f"Model {name} refused a {mode} request: {answered(status, answer)}")
        if not has_content(answer, mode):
            raise Failed(f"Model {name} answered a {mode} request with nothing: {answered(status, answer)}")
        return None

    gateway.until(f"Model {name} answered no {mode} request", attempt)
    print(f"proven: {name} answers ({mode}, {time.monotonic() - started:.1f} s)", flush=True)


def read(name):
    try:
        with open(os.path.join(DIRECTORY, name), encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise Failed(f"{name} cannot be read: {error.strerror}.") from None


def master_key():
    # The file is made for `sh`: single-quoted words, in which '\'' stands for a quote.
    try:
        words = shlex.split(read("gateway.env"), comments=True)
    except ValueError as error:
        raise Failed(f"gateway.env is not in the shell's format: {error}.") from None
    for word in words:
        name, _, value = word.partition("=")
        if name == "LITELLM_MASTER_KEY" and value:
            return value
    raise Failed("gateway.env holds no LITELLM_MASTER_KEY.")


def new_generation():
    """
    Whether it has a database, its models: name to (hash, mode, whether to call it, servers that gpubox does not start), how the
    names begin that it opens, and the names of its guardrails.
    """
    try:
        generation = json.loads(read("generation.json"))
        models = generation["models"].items()
        known = {name: (m["hash"], m["mode"], m["prove"], m.get("elsewhere", [])) for name, m in models}
        return generation["database"], known, tuple(generation.get("opens", ())), generation.get("guardrails", [])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Failed(f"generation.json has another shape than this script reads: {error!r}.") from None


def serving_hashes():
    """Model name to hash of the generation that serves now. One that cannot be read counts as none: all is proven."""
    try:
        models = json.loads(sys.stdin.readline())["models"]
        return {name: model["hash"] for name, model in models.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def prove(gateway):
    with_database, models, opens, guardrails = new_generation()
    serving = serving_hashes()
    prove_ready(gateway, with_database)
    prove_listed(gateway, list(models), opens)
    prove_guardrails(gateway, guardrails)
    for name, (digest, mode, wanted, servers) in models.items():
        if serving.get(name) == digest:
            print(f"skipped: {name} is unchanged", flush=True)
        elif not wanted:
            print(f"skipped: {name} is not to be called", flush=True)
        elif has_no_proof(mode):
            print(f"skipped: {name} has no request that would prove {mode}", flush=True)
        else:
            prove_model(gateway, name, mode, servers=servers)


def main():
    parser = argparse.ArgumentParser(description="Prove a new gateway before any traffic goes to it.")
    parser.add_argument("--deadline", type=float, default=120, metavar="SECONDS", help="for all steps (default: 120)")
    parser.add_argument("--backend", metavar="MODEL", help="prove a model server that knows the model by this name")
    parser.add_argument("--mode", default="chat", help="what the model server is asked for (default: chat)")
    options = parser.parse_args()
    seconds = options.deadline

    def too_late(*_):
        raise Failed(f"The gateway did not finish an answer within {seconds:g} s.")

    # A socket's timeout starts again with every byte; this one does not.
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(int(seconds) + 2)
    key = failure = ""
    try:
        if options.backend:
            key = sys.stdin.readline().strip()
            prove_model(Gateway(key, seconds), options.backend, options.mode, behind=False)
        else:
            key = master_key()
            prove(Gateway(key, seconds))
    except Failed as failed:
        failure = str(failed)
    # While Python ends nobody handles it, and it would kill.
    signal.alarm(0)
    if failure:
        print((failure.replace(key, "[key]") if key else failure)[:600], file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
