"""Whatever became of the files, the log goes on as soon as it can, and a start never fails for what an earlier one left."""

import fcntl
import json
import os
import shutil
import threading
import time

import pytest

from support import lines_of
from test_store import fill, line, marker, record
from trajectory_gap import GAP_BYTES, LOCK_SECONDS


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def wait_for(state):
    until = time.monotonic() + 20
    while not state():
        assert time.monotonic() < until
        time.sleep(0.01)  # pause: between two looks


@pytest.mark.parametrize("mode", ["refuse", "continue"])
def test_a_folder_that_somebody_removed_is_made_anew(tmp_path, open_store, mode):
    folder = tmp_path / "log"
    store = open_store(folder, onLogFailure=mode, syncSeconds=60)
    assert store.admit("r1", record(1)) is None
    shutil.rmtree(folder)
    assert store.admit("r2", record(2)) is None
    store.write("r2", line(2))
    assert [one["id"] for one in lines_of(folder)] == ["r2"]
    # Whose records they are is known without what was removed.
    start, request = lines_of(folder, "log.counter.jsonl")
    assert (start["kind"], start["process"], request["id"]) == ("start", store.process, "r2")


@pytest.mark.parametrize("mode", ["refuse", "continue"])
def test_a_folder_that_cannot_be_made_anew_is_tried_until_it_can(tmp_path, open_store, mode):
    folder = tmp_path / "log"
    store = open_store(folder, onLogFailure=mode, syncSeconds=60)
    shutil.rmtree(folder)
    folder.write_text("")
    assert store.admit("r1", record(1)) == ("File exists" if mode == "refuse" else None)
    assert store.admit("r2", record(2)) == ("File exists" if mode == "refuse" else None)
    folder.unlink()
    assert store.admit("r3", record(3)) is None
    counted = [one.get("id", one["kind"]) for one in lines_of(folder, "log.counter.jsonl")]
    assert counted == (["start", "gap", "r3"] if mode == "refuse" else ["start", "r1", "r2", "gap", "r3"])


@pytest.mark.parametrize("mode", ["refuse", "continue"])
def test_a_rotation_without_a_free_inode_is_made_up_for(small_disk, open_store, mode):
    store = open_store(small_disk, onLogFailure=mode, syncSeconds=60, rotateBytes=3000)
    store.write("r1", line(1))
    fillers = []
    with pytest.raises(OSError):
        while True:
            fillers.append(small_disk / f"filler{len(fillers)}")
            fillers[-1].write_text("")
    store.write("r2", line(2))
    assert store.held == 1
    fillers[0].unlink()
    store.write("r3", line(3))
    files = [small_disk / "log.000001.jsonl", small_disk / "log.000002.jsonl"]
    # The second one found its file, and the third one's rotation no inode again.
    assert [json.loads(text)["id"] for file in files for text in file.read_text().splitlines()] == ["r1", "r2"]
    fillers[1].unlink()
    assert store.admit("r4", record(4)) is None
    assert [one["id"] for one in lines_of(small_disk)] == ["r3"]


def test_the_sign_of_life_that_somebody_removed_is_back_soon(tmp_path, open_store):
    open_store(syncSeconds=0.02)
    (tmp_path / "log.gap").unlink()
    wait_for((tmp_path / "log.gap").exists)

    def locked():
        with open(tmp_path / "log.gap", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False

    wait_for(locked)
    # The room is taken after the lock.
    wait_for(lambda: (tmp_path / "log.gap").stat().st_size == GAP_BYTES)
    assert marker(tmp_path) is None


def test_a_gap_is_recorded_though_somebody_removed_its_file(tmp_path, open_store):
    store = open_store(onLogFailure="continue", syncSeconds=60)
    (tmp_path / "log.gap").unlink()
    store._try = lambda *_: store._fail(OSError(28, "No space left on device"))
    store.write("r1", line(1))
    assert marker(tmp_path)["requests"] == ["r1"]


def test_a_start_on_a_full_disk_that_is_tried_again_and_again_keeps_nothing_open(small_disk, open_store, monkeypatch):
    (small_disk / "log.000001.jsonl").write_bytes(b"1\n")
    (small_disk / "log.counter.jsonl").write_bytes(b'{"kind":"st' + b"x" * 4085)
    (small_disk / "log.gap").write_bytes(b" " * 65536)
    fill(small_disk)
    threads = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: threads.append(self.name) or start(self))
    before = descriptors()
    store = open_store(small_disk, onLogFailure="continue", syncSeconds=60, compress="zstd")
    for number in range(20):
        store.admit(f"r{number}", record(number))
    assert (store.held, descriptors(), threads) == (20, before, ["trajectory-sync"])
    (small_disk / "filler").unlink()
    store.admit("last", record("last"))
    assert (store.held, threads) == (0, ["trajectory-sync", "trajectory-zstd"])


TORN = {
    "end": b'"]}' + b" " * 9000,
    "middle": b'{"kind":"gap","sin' + b"\0" * 4096 + b'c"]}',
    "bytes": b"\xff\xfe",
    "word": b'"word"',
    "empty": b"{}",
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
@pytest.mark.parametrize("mode", ["refuse", "continue"])
def test_a_record_of_a_gap_that_a_power_loss_tore_is_a_gap_all_the_same(tmp_path, open_store, torn, mode):
    (tmp_path / "log.gap").write_bytes(torn)
    os.utime(tmp_path / "log.gap", (1_700_000_000, 1_700_000_000))
    store = open_store(onLogFailure=mode)
    assert store.admit("r1", record(1)) is None
    gap, *others = lines_of(tmp_path, "log.counter.jsonl")
    until = gap.pop("until")
    assert until > "2026"
    assert gap == {
        "kind": "gap",
        "since": "2023-11-14T22:13:20.000000Z",
        "reason": "the record of the gap is damaged",
        "held": 0,
        "dropped": 1,
        "refused": 0,
        "requests": [],
        "process": None,
    }
    assert [one["kind"] for one in others] == ["start", "request"]
    assert marker(tmp_path) is None


def test_a_checker_that_has_the_lock_for_a_moment_does_not_move_the_log(tmp_path, open_store, monkeypatch):
    checker = open(tmp_path / "log.gap", "wb")
    fcntl.flock(checker, fcntl.LOCK_SH)
    slept = []
    # It is done while the gateway waits.
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append(seconds) or (len(slept) == 3 and checker.close()))
    open_store()
    monkeypatch.undo()
    assert slept == [LOCK_SECONDS] * 3
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["log.counter.jsonl", "log.jsonl"]


def test_a_request_does_not_wait_for_a_lock(tmp_path, open_store, monkeypatch):
    blocker = tmp_path / "later"
    blocker.write_text("")
    store = open_store(blocker, onLogFailure="continue", syncSeconds=60)
    blocker.unlink()
    blocker.mkdir()
    other = open(blocker / "log.gap", "wb")
    fcntl.flock(other, fcntl.LOCK_EX)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("a request waited"))
    store.admit("r1", record(1))
    other.close()
    assert [one["kind"] for one in lines_of(blocker, "log-2.counter.jsonl")] == ["start", "gap", "request"]
