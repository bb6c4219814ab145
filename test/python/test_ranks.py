"""assets/backend/ranks.py with processes in place of engines, each rank at an address of its own on the loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

SCRIPT = os.path.join(os.path.dirname(__file__), "../../assets/backend/ranks.py")
SECONDS = 20

# An engine: answers its health check after its start, and writes where it lives.
ENGINE = """
import http.server, os, signal, sys, threading, time
name, port = sys.argv[1], int(sys.argv[2])
def told(*_):
    print("ended whole", flush=True)
    threading.Event().wait(float(os.environ.get("DRAIN", "0")))
    os._exit(0)
signal.signal(signal.SIGTERM, told)
print("engine runs", os.environ["GLOO_SOCKET_IFNAME"], os.environ["NCCL_SOCKET_IFNAME"], flush=True)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
if port: http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
while True: signal.pause()
"""


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


def until(reached, why):
    end = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < end, why()
        time.sleep(0.05)  # pause: between two looks


class Rank:
    """One rank as a process; what it says is kept line by line."""

    def __init__(self, folder, number, of, ports, common, script=SCRIPT, engine=ENGINE, **environ):
        self.port = ports["guard"]
        self.folder = folder / f"{number}-{time.monotonic_ns()}"
        self.folder.mkdir()
        # Its state is a file of its own container.
        text = open(script).read().replace('"/tmp/gpubox-rank"', repr(str(self.folder / "state")))
        (self.folder / "ranks.py").write_text(text)
        self.log = open(self.folder / "log", "w+")
        health = ports["health"] if number == 0 else 0
        self.process = subprocess.Popen(
            [sys.executable, self.folder / "ranks.py", sys.executable, "-c", engine, str(number), str(health)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "GPUBOX_RANK": str(number),
                "GPUBOX_RANKS": ",".join(f"127.0.0.{rank + 1}=gpu{rank + 1}" for rank in range(of)),
                "GPUBOX_RANKS_PORT": str(ports["guard"]),
                "GPUBOX_RANKS_IS": json.dumps(common),
                "GPUBOX_RANKS_PROBE": f"http://127.0.0.1:{ports['health']}/health",
                **environ,
            },
        )

    def text(self):
        with open(self.folder / "log") as log:
            return log.read()

    def says(self, *parts, times=1):
        until(lambda: all(self.text().count(part) >= times for part in parts), lambda: f"{parts} is not in:\n{self.text()}")

    def is_(self, state):
        path = self.folder / "state"
        until(lambda: path.exists() and path.read_text() == state, lambda: f"never {state}:\n{self.text()}")

    def kill(self):
        """As the end of its container or host: with every process in it, at once."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        for pid in (str(self.process.pid), *children):
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def ends(self):
        return self.process.wait(SECONDS)


@pytest.fixture
def start(tmp_path, monkeypatch):
    # Every address of the loopback's network is its own, whichever of them the kernel names first.
    ranks, ports = [], {"guard": free_port(), "health": free_port()}
    script = tmp_path / "ranks.py"
    script.write_text(open(SCRIPT).read().replace("return None\n\n\ndef watched", 'return "lo"\n\n\ndef watched'))

    def start_one(number, of=2, common=None, **more):
        ranks.append(Rank(tmp_path, number, of, ports, common or {"generation": "g1"}, script, **more))
        return ranks[-1]

    yield start_one
    for rank in ranks:
        rank.kill()


def test_no_engine_starts_before_every_rank_is_there(start):
    first = start(0, of=3)
    first.says("waits for rank 1 (gpu2, 127.0.0.2), rank 2 (gpu3, 127.0.0.3)")
    second = start(1, of=3)
    first.says("rank 1 (gpu2, 127.0.0.2) is there", "waits for rank 2 (gpu3, 127.0.0.3)")
    second.is_("waiting")
    assert "engine runs" not in first.text() + second.text()
    third = start(2, of=3)
    for rank in (first, second, third):
        rank.says("engine runs lo lo")
        rank.is_("serving")


def test_when_one_dies_the_engines_of_all_stop_and_they_serve_again_once_it_is_back(start):
    first, second = start(0), start(1)
    first.is_("serving")
    second.kill()
    first.says("rank 1 (gpu2, 127.0.0.2) is gone: the engine stops", "waits for rank 1", times=1)
    first.is_("waiting")
    again = start(1)
    first.says("engine runs", times=2)
    first.is_("serving")
    again.is_("serving")
    first.kill()
    again.says("rank 0 (gpu1, 127.0.0.1) is gone: the engine stops", "waits for rank 0")
    again.is_("waiting")
    start(0).is_("serving")
    again.is_("serving")


def test_an_engine_that_ends_by_itself_ends_its_rank_and_stops_the_others(start):
    first, second = start(0), start(1, engine="import sys; sys.exit(0)")
    assert second.ends() == 1
    first.says("rank 1 (gpu2, 127.0.0.2) is gone: the engine stops")
    first.is_("waiting")


@pytest.mark.parametrize("key", ["generation", "image"])
def test_ranks_of_two_generations_or_images_never_meet_and_both_say_why(start, key):
    common = {"generation": "g1", "image": "vllm@sha256:1"}
    first = start(0, common=common)
    other = start(1, common={**common, key: "other"})
    why = f"rank 1 (gpu2, 127.0.0.2) has another {key} than rank 0 (gpu1, 127.0.0.1): other, not {common[key]}"
    for rank in (first, other):
        rank.says(why, "Run `gpubox up` for both stacks")
        rank.is_("waiting")
    assert "engine runs" not in first.text() + other.text()
    # It does not keep the right one out.
    other.kill()
    start(1, common=common).is_("serving")


def test_whoever_calls_from_another_address_is_no_rank(start):
    first = start(0)
    first.says("waits for rank 1")
    for text in (b'{"rank": 1, "is": {}}\n', b'{"rank": 0}\n', b"GET / HTTP/1.0\r\n\r\n", b"[]\n"):
        with socket.create_connection(("127.0.0.1", first.port), 5, ("127.0.0.9", 0)) as caller:
            caller.sendall(text)
            with contextlib.suppress(ConnectionResetError):
                assert caller.recv(1) == b""
    first.says("127.0.0.9 is none of the ranks that it asks to be, and is refused")
    start(1).is_("serving")


def test_a_rank_that_is_stopped_lets_rank_0_end_what_it_has(start):
    first, second = start(0, DRAIN="1"), start(1)
    first.is_("serving")
    second.process.terminate()
    first.says("rank 1 (gpu2, 127.0.0.2) leaves: the engine ends what it has and stops", "ended whole")
    assert second.ends() == 0
    # Its own engine was there until rank 0 had ended.
    second.says("rank 0 (gpu1, 127.0.0.1) is gone: the engine stops")
    first.is_("waiting")


def test_rank_0_that_is_stopped_ends_by_itself_and_the_others_wait(start):
    first, second = start(0), start(1)
    second.is_("serving")
    first.process.terminate()
    assert first.ends() == 0
    first.says("ended whole")
    second.is_("waiting")
    second.process.terminate()
    assert second.ends() == 0


def test_a_container_without_the_declared_address_says_so(start, tmp_path):
    (tmp_path / "ranks.py").write_text(open(SCRIPT).read())
    rank = start(0, GPUBOX_RANKS="10.255.255.254=gpu1,10.255.255.253=gpu2")
    assert rank.ends() == 1
    rank.says("no interface of this container has the address 10.255.255.254 of nodes: is its Docker network the right one?")
