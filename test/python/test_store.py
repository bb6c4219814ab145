"""A log that cannot be written is never silent."""

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest
from prometheus_client import REGISTRY

from support import lines_of
from trajectory_metrics import publish
from trajectory_gap import GAP_BYTES

def record(number):
    return {"kind": "request", "id": f"r{number}"}


def line(number):
    return json.dumps({"id": f"r{number}", "pad": "x" * 2000}).encode() + b"\n"


def fill(disk):
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(filler, b"x" * 4096)
    except OSError:
        os.close(filler)


def said(capsys):
    return [json.loads(one) for one in capsys.readouterr().err.splitlines()]


def marker(disk):
    text = (disk / "log.gap").read_text()
    assert len(text) == GAP_BYTES
    return json.loads(text) if text.strip() else None


def test_with_refuse_a_full_disk_stops_requests_until_there_is_room(small_disk, open_store, capsys):
    store = open_store(small_disk, onLogFailure="refuse", syncSeconds=60)
    assert store.admit("r1", record(1)) is None
    fill(small_disk)
    # What was admitted before waits in memory, and no request comes after it.
    store.write("r1", line(1))
    assert store.admit("r2", record(2)) == "No space left on device"
    assert store.admit("r3", record(3)) == "No space left on device"
    gap = marker(small_disk)
    assert (gap["held"], gap["refused"], gap["dropped"], gap["requests"]) == (1, 2, 0, ["r1"])
    [first] = said(capsys)
    assert first["level"] == "ERROR"
    assert first["message"].startswith("trajectory: the log cannot be written: [Errno 28] No space left on device; no request")

    (small_disk / "filler").unlink()
    assert store.admit("r4", record(4)) is None
    assert marker(small_disk) is None
    assert [one["id"] for one in lines_of(small_disk)] == ["r1"]
    counted = lines_of(small_disk, "log.counter.jsonl")
    assert [one.get("id", one["kind"]) for one in counted] == ["start", "r1", "gap", "r4"]
    assert (counted[2]["refused"], counted[2]["dropped"], counted[2]["requests"]) == (2, 0, [])
    [last] = said(capsys)
    assert (last["level"], "2 requests were refused, 0 lines lost" in last["message"]) == ("WARNING", True)


def test_with_continue_requests_go_on_and_their_lines_wait(small_disk, open_store):
    store = open_store(small_disk, onLogFailure="continue", syncSeconds=60)
    fill(small_disk)
    for number in range(20):
        assert store.admit(f"r{number}", record(number)) is None
        store.write(f"r{number}", line(number))
    gap = marker(small_disk)
    # Small records may still find room at the end of a page.
    assert gap["held"] >= 20
    assert gap["requests"] == [f"r{number}" for number in range(20)]
    (small_disk / "filler").unlink()
    store.write("last", line("last"))
    assert [one["id"] for one in lines_of(small_disk)] == [f"r{number}" for number in range(20)] + ["rlast"]
    counted = [one["id"] for one in lines_of(small_disk, "log.counter.jsonl") if one["kind"] == "request"]
    assert counted == [f"r{number}" for number in range(20)]


def test_what_finds_no_room_in_memory_either_is_lost_by_name(small_disk, open_store):
    store = open_store(small_disk, onLogFailure="continue", syncSeconds=60, heldBytes=3000)
    store.admit("r1", record(1))
    store.admit("r2", record(2))
    fill(small_disk)
    store.write("r1", line(1))
    store.write("r2", line(2))
    assert (marker(small_disk)["held"], marker(small_disk)["dropped"]) == (1, 1)
    (small_disk / "filler").unlink()
    store.count(None, record(3))
    [gap] = [one for one in lines_of(small_disk, "log.counter.jsonl") if one["kind"] == "gap"]
    assert (gap["dropped"], gap["requests"], gap["reason"]) == (1, ["r2"], "No space left on device")
    assert [one["id"] for one in lines_of(small_disk)] == ["r1"]
    # The room in memory is there again.
    fill(small_disk)
    while not store.held:
        store.write("r3", line(3))
    assert (marker(small_disk)["held"], marker(small_disk)["dropped"]) == (1, 0)


def test_a_log_is_written_again_without_a_request_that_tries(small_disk, open_store):
    store = open_store(small_disk, onLogFailure="continue")
    fill(small_disk)
    store.write("r1", line(1))
    assert store.held == 1
    (small_disk / "filler").unlink()
    while store.held:
        time.sleep(0.01)  # pause: between two looks
    assert [one["id"] for one in lines_of(small_disk)] == ["r1"]


PROCESS = textwrap.dedent(
    """
    import os, sys, time
    sys.path[:0] = [sys.argv[1], sys.argv[2]]
    from test_store import fill, line, record
    from trajectory_config import Config
    from trajectory_store import Store
    import pathlib
    disk = pathlib.Path(sys.argv[3])
    store = Store(Config(file=str(disk / "log.jsonl"), onLogFailure="continue"))
    store.admit("r1", record(1))
    fill(disk)
    store.write("r1", line(1))
    print("full", flush=True)
    time.sleep(60)  # pause: until it is killed
    """
)


def test_a_process_that_dies_on_a_full_disk_leaves_word_of_it(small_disk, open_store):
    here = os.path.dirname(__file__)
    assets = os.path.dirname(sys.modules["trajectory_store"].__file__)
    child = subprocess.Popen([sys.executable, "-c", PROCESS, here, assets, str(small_disk)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"full\n"
    child.kill()
    child.wait()
    child.stdout.close()
    assert (marker(small_disk)["held"], marker(small_disk)["requests"]) == (1, ["r1"])
    (small_disk / "filler").unlink()
    open_store(small_disk)
    [gap] = [one for one in lines_of(small_disk, "log.counter.jsonl") if one["kind"] == "gap"]
    assert (gap["held"], gap["requests"], gap["process"]) == (1, ["r1"], None)
    assert marker(small_disk) is None


def test_with_refuse_a_directory_that_cannot_be_written_stops_the_start(tmp_path, open_store):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        open_store(tmp_path / "file", onLogFailure="refuse")


def test_with_continue_it_is_said_and_tried_again(tmp_path, open_store, capsys):
    blocker = tmp_path / "later"
    blocker.write_text("")
    store = open_store(blocker, onLogFailure="continue", syncSeconds=60)
    assert store.admit("r1", record(1)) is None
    assert "cannot be written" in said(capsys)[0]["message"]
    blocker.unlink()
    store.write("r1", line(1))
    assert [one["kind"] for one in lines_of(blocker, "log.counter.jsonl")] == ["start", "request", "gap"]
    assert [one["id"] for one in lines_of(blocker)] == ["r1"]


def test_two_processes_of_one_gateway_have_files_of_their_own(tmp_path, open_store):
    for store in (open_store(), open_store()):
        store.write(None, line(1))
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [
        "log-2.counter.jsonl",
        "log-2.jsonl",
        "log.counter.jsonl",
        "log.jsonl",
    ]


def test_a_stop_is_recorded_and_on_the_disk(tmp_path, open_store, monkeypatch):
    store = open_store(syncSeconds=60)
    store.write("r1", line(1))
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    store.stop()
    assert sorted(synced) == [str(tmp_path / "log.counter.jsonl"), str(tmp_path / "log.jsonl")]
    assert lines_of(tmp_path, "log.counter.jsonl")[-1]["kind"] == "stop"


def test_what_is_written_reaches_the_disk_soon(open_store, monkeypatch):
    store = open_store(syncSeconds=0.01)
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(fd))
    store.write("r1", line(1))
    while not synced:
        time.sleep(0.01)  # pause: between two looks


def test_a_gap_shows_in_the_metrics(open_store):
    store = open_store(syncSeconds=60, heldBytes=3000)
    publish(store)

    def metrics():
        names = ("requests", "held", "lost", "unwritable")
        return [REGISTRY.get_sample_value(f"gpubox_trajectory_{name}") for name in names]

    store.write("r1", line(1))
    assert metrics() == [1, 0, 0, 0]
    store._try = lambda *_: store._fail(OSError(28, "No space left on device"))
    store.write("r2", line(2))
    store.write("r3", line(3))
    assert metrics() == [3, 1, 1, 1]
