"""The load of `gpubox bench model`: streamed answers of one model, timed as a client sees them.

Takes one line of JSON on standard input, the key among it, so that no process list shows it:

    {"address": ["127.0.0.1", 4000], "tls": null, "host": "localhost", "key": null, "path": "/v1/chat/completions",
     "body": {"model": "tiny"}, "seconds": 300, "requestSeconds": 120,
     "cases": [{"concurrency": 1, "promptTokens": 128, "outputTokens": 64, "requests": 8, "shared": false}]}

Prints a line of JSON for each thing that happened: {"calibrated": …}, {"case": …}, in the end {"ended": why}. Times are seconds.
Tokens are those of the server's `usage`; pieces of a stream are no tokens. It ends after `seconds`, at a signal, and when its
standard input ends, and closes what is open, so that servers stop computing.

Standard library only: it runs in the gateway's image, and in tests on any Python from 3.9 on.
"""

import http.client
import json
import os
import random
import secrets
import signal
import socket
import ssl
import sys
import threading
import time

# Words of one token in the vocabularies of current models. What a server counts of them is asked before the first case.
WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand part "
    "place case week company system program question work government number night point home water room mother area money "
    "story fact month lot right study book eye job word business issue side kind head house service friend father power hour "
    "game line end member law car city community name president team minute idea body information back parent face level "
    "office door health person art war history party result change morning reason research girl guy moment air teacher force"
).split()

# Words of the two questions by which the tokens of a word are learnt.
FEW, MANY = 8, 72
# Part of a prompt that requests with a shared beginning have in common.
SHARED = 0.9
# Tokens of the answers that warm a server up: enough for a step of decoding at that concurrency.
WARM_TOKENS = 4
# What is kept of a server's words.
MOST_WORDS = 300


class Refused(Exception):
    """A request got no whole answer; the text is the server's, or the network's."""


class Load:
    def __init__(self, settings):
        self.settings = settings
        self.random = random.Random(secrets.randbits(64))
        self.began = time.monotonic()
        self.stopping = threading.Event()
        self.why = None
        self.lock = threading.Lock()
        self.open = set()
        # A server that counts bytes, until it has said what it counts.
        self.overhead, self.per_word = 0.0, 1.0

    def stop(self, why):
        with self.lock:
            self.why = self.why or why
            self.stopping.set()
            for connection in list(self.open):
                cut(connection)

    def now(self):
        return time.monotonic() - self.began

    def connect(self):
        (address, port), name = self.settings["address"], self.settings["tls"]
        connection = http.client.HTTPConnection(address, port, timeout=self.settings["requestSeconds"])
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if name:
            # The connection does not leave the host, so the issuer is not checked.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection.sock = context.wrap_socket(connection.sock, server_hostname=name)
        with self.lock:
            self.open.add(connection)
        if self.stopping.is_set():
            cut(connection)
        return connection

    def close(self, connection):
        with self.lock:
            self.open.discard(connection)
        connection.close()

    def words(self, count):
        return " ".join(self.random.choice(WORDS) for _ in range(count))

    def prompt(self, tokens, beginning=""):
        """A question of about so many tokens. It begins with what no other has, or with `beginning`."""
        left = max(1, round((tokens - self.overhead) / self.per_word) - len(beginning.split()))
        own = f"{secrets.token_hex(4)} {self.words(left)}"
        return f"{beginning} {own}" if beginning else own

    def beginning(self, tokens):
        return f"{secrets.token_hex(4)} {self.words(max(1, round(SHARED * (tokens - self.overhead) / self.per_word)))}"

    def body(self, text, tokens):
        chat = self.settings["path"].endswith("/chat/completions")
        asked = {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
        stream = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": tokens}
        return json.dumps({**self.settings["body"], **asked, **stream})

    def ask(self, connection, text, tokens):
        """One streamed answer. @raises Refused"""
        headers = {"Host": self.settings["host"], "Content-Type": "application/json"}
        if self.settings["key"]:
            headers["Authorization"] = f"Bearer {self.settings['key']}"
        body = self.body(text, tokens)
        began = self.now()
        connection.request("POST", self.settings["path"], body, headers)
        response = connection.getresponse()
        if response.status != 200:
            said = response.read(65_536).decode("utf-8", "replace")
            raise Refused(f"status {response.status}: {words_of(said)}")
        first = last = usage = None
        pieces, done = 0, False
        for at, event in self.events(response):
            if event == "[DONE]":
                done = True
                continue
            event = json.loads(event)
            if event.get("error"):
                raise Refused(f"an error in the stream: {words_of(json.dumps(event))}")
            usage = event.get("usage") or usage
            if any(said_in(choice) for choice in event.get("choices") or []):
                first = at if first is None else first
                last = at
                pieces += 1
        if not done:
            raise Refused("the stream broke off")
        if first is None:
            raise Refused("the stream had no text")
        if not usage or not usage.get("completion_tokens"):
            raise Refused("the server does not say how many tokens its answer has (usage)")
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        return {
            **{"began": began, "first": first, "last": last, "ended": self.now(), "pieces": pieces},
            **{"prompt": usage["prompt_tokens"], "cached": cached, "output": usage["completion_tokens"]},
        }

    def events(self, response):
        """The data of a stream's events, each with the time at which its last byte was read."""
        rest = b""
        while True:
            part = response.read1(65_536)
            at = self.now()
            if not part:
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    yield at, line[5:].strip().decode("utf-8", "replace")

    def sample(self, connection, text, tokens):
        """What came of one request, and the connection for the next one."""
        began = self.now()
        try:
            connection = connection or self.connect()
            return self.ask(connection, text, tokens), connection
        except Refused as error:
            failure = str(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = f"no whole answer: {error or type(error).__name__}"
        if connection:
            self.close(connection)
        return {"began": began, "ended": self.now(), "error": failure}, None

    def together(self, concurrency, texts, tokens):
        """Asks them all, so many at a time. What was cut by the end of the load is left out."""
        samples, waiting = [], list(reversed(texts))

        def work():
            connection = None
            while not self.stopping.is_set():
                with self.lock:
                    if not waiting:
                        break
                    text = waiting.pop()
                one, connection = self.sample(connection, text, tokens)
                if not self.stopping.is_set():
                    with self.lock:
                        samples.append(one)
            if connection:
                self.close(connection)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(concurrency, len(texts)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return samples

    def calibrate(self):
        """Learns what the server counts for a word, and warms it up. @raises Refused"""
        counted = []
        for count in (FEW, MANY):
            [one] = self.together(1, [f"{secrets.token_hex(4)} {self.words(count)}"], WARM_TOKENS) or [{"error": "it was stopped"}]
            if "error" in one:
                raise Refused(one["error"])
            counted.append(one["prompt"])
        self.per_word = max((counted[1] - counted[0]) / (MANY - FEW), 0.1)
        self.overhead = counted[0] - FEW * self.per_word
        say({"calibrated": {"tokensPerWord": round(self.per_word, 3), "overheadTokens": round(self.overhead, 1)}})

    def measure(self, index, case):
        concurrency, tokens = case["concurrency"], case["outputTokens"]
        beginning = self.beginning(case["promptTokens"]) if case["shared"] else ""
        texts = lambda count: [self.prompt(case["promptTokens"], beginning) for _ in range(count)]
        warm = self.together(concurrency, texts(concurrency), min(WARM_TOKENS, tokens))
        failed = [one["error"] for one in warm if "error" in one]
        if warm and len(failed) == len(warm):
            return say({"case": index, "refused": failed[0]})
        samples = [] if self.stopping.is_set() else self.together(concurrency, texts(case["requests"]), tokens)
        say({"case": index, "cut": self.stopping.is_set(), "samples": samples})

    def run(self):
        try:
            self.calibrate()
        except Refused as error:
            return say({"ended": self.why or "refused", "said": str(error)})
        for index, case in enumerate(self.settings["cases"]):
            if self.stopping.is_set():
                break
            self.measure(index, case)
        say({"ended": self.why or "done"})


def said_in(choice):
    """Whether a piece of a stream has text, a thought or a call of a tool in it."""
    delta = choice.get("delta") or {}
    return bool(
        choice.get("text") or delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or delta.get("tool_calls")
    )


def words_of(text):
    try:
        error = json.loads(text)["error"]
        text = error["message"] if isinstance(error, dict) else str(error)
    except (ValueError, KeyError, TypeError):
        pass
    return " ".join(text.split())[:MOST_WORDS] or "no message"


def cut(connection):
    # A close from another thread would leave a read waiting.
    try:
        if connection.sock:
            connection.sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def say(event):
    print(json.dumps(event), flush=True)


def main():
    load = Load(json.loads(sys.stdin.readline()))
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: threading.Thread(target=load.stop, args=("stopped",)).start())

    def input_ends():
        # Not by sys.stdin, whose lock would still be held when Python ends.
        while os.read(0, 4096):
            pass
        load.stop("stopped")

    def time_ends():
        if not load.stopping.wait(load.settings["seconds"]):
            load.stop("time")

    for watch in (input_ends, time_ends):
        threading.Thread(target=watch, daemon=True).start()
    load.run()


main()
