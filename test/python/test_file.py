"""Appends are whole or not there, whatever happens."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from trajectory_file import AppendFile, compress

PROCESS = textwrap.dedent(
    """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    from trajectory_file import AppendFile
    file = AppendFile(sys.argv[2], 1 << 30)
    print("ready", flush=True)
    while True:
        file.append(b'{"line":"' + b"x" * 5000 + b'"}\\n')
    """
)


def test_many_lines_from_many_threads_of_a_store_are_all_whole(open_store, tmp_path):
    store = open_store(rotateBytes=20_000)

    def write(thread):
        for number in range(200):
            store.write(None, json.dumps({"thread": thread, "number": number, "pad": "x" * 200}).encode() + b"\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in tmp_path.iterdir() if path.name.startswith("log.") and "counter" not in path.name]
    lines = [json.loads(line) for path in files if path.suffix == ".jsonl" for line in path.read_text().splitlines()]
    assert sorted((line["thread"], line["number"]) for line in lines) == [(t, n) for t in range(8) for n in range(200)]
    assert len(files) > 10


def test_a_kill_leaves_whole_lines_and_the_next_process_goes_on_behind_them(tmp_path):
    path = tmp_path / "killed.jsonl"
    assets = os.path.dirname(sys.modules["trajectory_file"].__file__)
    child = subprocess.Popen([sys.executable, "-c", PROCESS, assets, str(path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    while path.stat().st_size < 1_000_000:
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    AppendFile(str(path), 1 << 30).append(b'{"line":"last"}\n')
    *lines, last = path.read_bytes().splitlines()
    assert json.loads(last) == {"line": "last"}
    # A write that the kill cut would be the last of the first process.
    assert all(len(line) == 5011 for line in lines[:-1])


def test_a_line_that_was_cut_does_not_take_the_next_one_with_it(tmp_path):
    path = tmp_path / "torn.jsonl"
    path.write_bytes(b'{"line":1}\n{"li')
    AppendFile(str(path), 1 << 30).append(b'{"line":2}\n')
    assert path.read_bytes() == b'{"line":1}\n{"li\n{"line":2}\n'


def test_a_write_that_finds_half_the_room_leaves_nothing(tmp_path, monkeypatch):
    file = AppendFile(str(tmp_path / "half.jsonl"), 1 << 30)
    file.append(b'{"line":1}\n')
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    with pytest.raises(OSError) as error:
        file.append(b'{"line":2}\n')
    assert error.value.errno == errno.ENOSPC
    monkeypatch.undo()
    file.append(b'{"line":3}\n')
    assert (tmp_path / "half.jsonl").read_bytes() == b'{"line":1}\n{"line":3}\n'


def test_a_file_that_somebody_removed_is_begun_anew(tmp_path):
    path = tmp_path / "gone.jsonl"
    file = AppendFile(str(path), 1 << 30)
    file.append(b"1\n")
    path.unlink()
    file.append(b"2\n")
    assert path.read_bytes() == b"2\n"


def test_files_are_closed_by_size_and_numbered_in_their_order(tmp_path):
    file = AppendFile(str(tmp_path / "log.jsonl"), 10)
    for number in range(4):
        file.append(b"%d23456\n" % number)
    closed = sorted(path.name for path in tmp_path.iterdir())
    assert closed == ["log.000001.jsonl", "log.000002.jsonl", "log.000003.jsonl", "log.jsonl"]
    assert [(tmp_path / name).read_bytes()[:1] for name in closed] == [b"0", b"1", b"2", b"3"]


def test_a_file_is_on_the_disk_before_it_is_closed(tmp_path, monkeypatch):
    file = AppendFile(str(tmp_path / "log.jsonl"), 2)
    file.append(b"1\n")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    file.append(b"2\n")
    assert synced == [str(tmp_path / "log.jsonl")]


def test_a_closed_file_is_compressed_so_that_zstd_reads_it(tmp_path):
    text = b'{"line":"' + bytes(range(48, 58)) * 1_000_000 + b'"}\n'
    path = tmp_path / "log.000001.jsonl"
    path.write_bytes(text)
    compress(str(path))
    assert [path.name for path in tmp_path.iterdir()] == ["log.000001.jsonl.zst"]
    packed = tmp_path / "log.000001.jsonl.zst"
    assert packed.stat().st_size < len(text) / 100
    assert subprocess.run(["zstd", "-dc", str(packed)], capture_output=True, check=True).stdout == text


def test_a_file_that_is_being_compressed_is_closed_to_everybody_else_from_its_first_byte(tmp_path, monkeypatch):
    path = tmp_path / "log.000001.jsonl"
    path.write_bytes(b"1\n")
    before = os.umask(0o022)
    modes = []
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(oct(os.fstat(fd).st_mode & 0o777)))
    opened = os.open

    def open_and_look(name, *more):
        fd = opened(name, *more)
        modes.append(oct(os.fstat(fd).st_mode & 0o777))
        return fd

    monkeypatch.setattr(os, "open", open_and_look)
    compress(str(path))
    os.umask(before)
    packed = tmp_path / "log.000001.jsonl.zst"
    assert [*modes, oct(packed.stat().st_mode & 0o777)] == ["0o640", "0o640", "0o640"]


def test_closed_files_that_a_crash_left_are_compressed_at_the_next_start(tmp_path):
    (tmp_path / "log.000001.jsonl").write_bytes(b"1\n")
    AppendFile(str(tmp_path / "log.jsonl"), 10, "zstd").compress_closed()
    for thread in threading.enumerate():
        if thread.name == "trajectory-zstd":
            thread.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.000001.jsonl.zst", "log.jsonl"]


def test_numbers_go_on_behind_compressed_files(tmp_path):
    (tmp_path / "log.000007.jsonl.zst").write_bytes(b"")
    file = AppendFile(str(tmp_path / "log.jsonl"), 2)
    file.append(b"1\n")
    file.append(b"2\n")
    assert (tmp_path / "log.000008.jsonl").read_bytes() == b"1\n"
