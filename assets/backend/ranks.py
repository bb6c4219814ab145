"""Runs one rank of a model over several hosts: its engine runs while every rank is there, and ends with the first that is not.

    python3 ranks.py ENGINE ARGUMENT...

Engines watch the processes of their own host alone: rank 0 of vLLM answers its health check while the host of another rank is
dead. Rank 0 listens here, the others connect and stay connected; no engine starts before all have said that they are of the
same generation, and a connection that ends, ends the engine on both of its sides. Then they wait for each other again.

GPUBOX_RANK         this one
GPUBOX_RANKS        address and stack of each, in their order: 10.77.0.1=gpu1,10.77.0.2=gpu2
GPUBOX_RANKS_PORT   where rank 0 listens, at its address alone
GPUBOX_RANKS_IS     what all must have in common, JSON: name to value
GPUBOX_RANKS_PROBE  rank 0: what its engine answers with 200 once the model is loaded

/tmp/gpubox-rank says how far it is: waiting, starting, serving.
"""

import fcntl
import json
import os
import platform
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

STATE = "/tmp/gpubox-rank"
LONGEST_LINE = 4096
# Seconds for a hello, and between two tries to reach rank 0.
HELLO_SECONDS = 10
AGAIN_SECONDS = 2
# A host that lost its power says nothing: after so many seconds without an answer it counts as gone.
SILENT_SECONDS = 25
# Seconds between two reminders of what it waits for.
REMIND_SECONDS = 60
# Seconds that an engine gets whose other ranks are gone: nothing that it still does can end well.
KILL_SECONDS = 5

SIOCGIFADDR = 0x8915

stopping = False


def say(text):
    print(f"gpubox: {text}", flush=True)


def state(word):
    with open(f"{STATE}.new", "w") as file:
        file.write(word)
    os.replace(f"{STATE}.new", STATE)


class Ranks:
    def __init__(self, environ):
        pairs = [pair.split("=", 1) for pair in environ["GPUBOX_RANKS"].split(",")]
        self.addresses = [address for address, _ in pairs]
        self.stacks = [stack for _, stack in pairs]
        self.own = int(environ["GPUBOX_RANK"])
        self.port = int(environ["GPUBOX_RANKS_PORT"])
        self.common = {**json.loads(environ["GPUBOX_RANKS_IS"]), "architecture": platform.machine()}
        self.probe = environ.get("GPUBOX_RANKS_PROBE")

    def name(self, rank):
        return f"rank {rank} ({self.stacks[rank]}, {self.addresses[rank]})"

    def difference(self, rank, common):
        """Why a rank does not belong to this one; empty where it does."""
        for key, value in self.common.items():
            if common.get(key) != value:
                return f"{self.name(rank)} has another {key} than {self.name(self.own)}: {common.get(key)}, not {value}"
        return ""


def interface_of(address):
    """Name of the interface that has an IPv4 address; None where none has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(any_socket, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    return None


def watched(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)
    return connection


def send(connection, message):
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection):
    """The next message; None where the other side is gone, or says what nobody understands."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            byte = connection.recv(1)
        except OSError:
            return None
        if not byte or len(line) > LONGEST_LINE:
            return None
        line += byte
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


class Reminder:
    """Says what is waited for when it changes, and every minute."""

    def __init__(self):
        self.said, self.at = "", 0.0

    def __call__(self, text):
        if text == self.said and time.monotonic() - self.at < REMIND_SECONDS:
            return
        self.said, self.at = text, time.monotonic()
        say(text)


def gather(ranks, listener):
    """Rank 0: the connections of all others, once each is there. None when it is told to stop."""
    there, remind = {}, Reminder()
    state("waiting")
    while not stopping:
        missing = [rank for rank in range(1, len(ranks.addresses)) if rank not in there]
        if not missing:
            return there
        remind(f"waits for {', '.join(ranks.name(rank) for rank in missing)}")
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            for rank, connection in there.items():
                selector.register(connection, selectors.EVENT_READ, rank)
            for key, _ in selector.select(1):
                if key.fileobj is listener:
                    welcome(ranks, listener, there, remind)
                else:
                    # One that waits has nothing to say: it is gone.
                    there.pop(key.data).close()
    return None


def welcome(ranks, listener, there, remind):
    connection, (address, _) = listener.accept()
    connection.settimeout(HELLO_SECONDS)
    hello = receive(connection) or {}
    rank = hello.get("rank")
    if not isinstance(rank, int) or not 0 < rank < len(ranks.addresses) or address != ranks.addresses[rank]:
        remind(f"{address} is none of the ranks that it asks to be, and is refused")
        connection.close()
        return
    refused = ranks.difference(rank, hello.get("is") or {})
    if refused:
        remind(f"{refused}. Run `gpubox up` for both stacks")
        try:
            send(connection, {"refused": refused})
        except OSError:
            pass
        connection.close()
        return
    connection.settimeout(None)
    if rank in there:
        there[rank].close()
    there[rank] = watched(connection)
    say(f"{ranks.name(rank)} is there")


def join(ranks):
    """Another rank: its connection to rank 0, once that says go. None when it is told to stop."""
    remind = Reminder()
    state("waiting")
    while not stopping:
        remind(f"waits for {ranks.name(0)}")
        try:
            connection = socket.create_connection(
                (ranks.addresses[0], ranks.port), HELLO_SECONDS, (ranks.addresses[ranks.own], 0)
            )
            watched(connection).settimeout(None)
            send(connection, {"rank": ranks.own, "is": ranks.common})
        except OSError:
            pause()
            continue
        answer = await_message(connection)
        if answer and answer.get("go"):
            return {0: connection}
        connection.close()
        if answer and answer.get("refused"):
            remind(f"{answer['refused']}. Run `gpubox up` for both stacks")
        pause()
    return None


def await_message(connection):
    while not stopping:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            if selector.select(1):
                return receive(connection)
    return None


def pause():
    end = time.monotonic() + AGAIN_SECONDS
    while not stopping and time.monotonic() < end:
        time.sleep(0.2)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def run(ranks, others, command, environment):
    """Runs the engine beside the others. Returns its exit code, or None where another rank went first."""
    state("starting")
    if ranks.own == 0:
        for connection in others.values():
            send_or_lose(connection, {"go": True})
    say("all ranks are there: the engine starts")
    engine = subprocess.Popen(command, env=environment, start_new_session=True)
    serving, asked, leaving = False, time.monotonic(), False
    with selectors.DefaultSelector() as selector:
        for rank, connection in others.items():
            selector.register(connection, selectors.EVENT_READ, rank)
        while engine.poll() is None:
            if stopping and not leaving:
                leaving = True
                # What runs needs all ranks to its end: rank 0 stops first, and the others when it has.
                if ranks.own == 0:
                    engine.send_signal(signal.SIGTERM)
                else:
                    send_or_lose(others[0], {"leaves": True})
            if ranks.own == 0 and not serving and time.monotonic() - asked > 1:
                serving, asked = answers(ranks.probe), time.monotonic()
                if serving:
                    state("serving")
                    for connection in others.values():
                        send_or_lose(connection, {"serving": True})
            for key, _ in selector.select(0.2):
                message = receive(key.fileobj)
                if message is None:
                    say(f"{ranks.name(key.data)} is gone: the engine stops")
                    end(engine)
                    return None
                if message.get("serving"):
                    state("serving")
                if message.get("leaves") and not leaving:
                    leaving = True
                    say(f"{ranks.name(key.data)} leaves: the engine ends what it has and stops")
                    engine.send_signal(signal.SIGTERM)
    end(engine)
    return engine.returncode if stopping or not leaving else None


def send_or_lose(connection, message):
    """A connection that is lost shows when it is read."""
    try:
        send(connection, message)
    except OSError:
        pass


def end(engine):
    """Ends the engine with every process that it left behind."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(engine.pid, number)
        except ProcessLookupError:
            break
        try:
            engine.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    engine.wait()


def main(command):
    ranks = Ranks(os.environ)
    address = ranks.addresses[ranks.own]
    interface = interface_of(address)
    if interface is None:
        say(f"no interface of this container has the address {address} of nodes: is its Docker network the right one?")
        return 1
    environment = dict(os.environ)
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        environment.setdefault(name, interface)

    def stop(*_):
        global stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    listener = socket.create_server((address, ranks.port)) if ranks.own == 0 else None
    while not stopping:
        others = gather(ranks, listener) if listener else join(ranks)
        if others is None:
            break
        code = run(ranks, others, command, environment)
        for connection in others.values():
            connection.close()
        if code is not None:
            # An engine that ends by itself has failed, whatever it says.
            return 0 if stopping else code or 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
