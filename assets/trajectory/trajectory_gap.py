"""What is not on disk, and the file that says so.

BASE.gap is room that is taken from the start, so that a gap is known even if the process dies in it on a full disk. Its lock
tells that the process lives.
"""

import errno
import fcntl
import json
import os
import time

from trajectory_file import private
from trajectory_time import iso

GAP_BYTES = 64 * 1024
# Ids that fit into GAP_BYTES with room for the rest.
GAP_IDS = 1400
# A checker has the lock for a moment, to see whether somebody else has it.
LOCK_TRIES = 5
LOCK_SECONDS = 0.05


class Gap:
    """What is not on disk."""

    def __init__(self, reason):
        self.since = time.time()
        self.reason = reason
        self.refused = 0
        self.dropped = 0
        # In the order of their coming; the values are of no use.
        self.requests = {}
        self.dropped_requests = {}

    def record(self, held):
        return {
            "kind": "gap",
            "since": iso(self.since),
            "reason": self.reason,
            "held": held,
            "dropped": self.dropped,
            "refused": self.refused,
            "requests": list(self.requests)[:GAP_IDS],
        }


class GapFile:
    """Raises BlockingIOError when another process has it, and OSError when it cannot be had."""

    def __init__(self, path, patient=False):
        self.path = path
        self.fd = _locked(path, LOCK_TRIES if patient else 1)

    @property
    def removed(self):
        return os.fstat(self.fd).st_nlink == 0

    def left(self):
        """The record of a process that died in a gap, else None. Takes the room on the disk where it is not taken."""
        text = os.pread(self.fd, GAP_BYTES, 0).strip(b" \n\0")
        if not text:
            _fill(self.fd, b"")
            return None
        try:
            record = json.loads(text)
            if isinstance(record, dict) and record.get("kind") == "gap":
                return record
        except ValueError:
            pass
        # It is written in pages, of which a host that lost power may have kept some. Something is lost all the same.
        gap = Gap("the record of the gap is damaged")
        gap.since = os.fstat(self.fd).st_mtime
        gap.dropped = 1
        return gap.record(0)

    def write(self, gap, held=0):
        """Says what is not on disk; None: nothing. A file that somebody removed is made anew, with its lock."""
        if self.removed:
            fd = _locked(self.path, 1)
            try:
                _fill(fd, b"")
            except OSError:
                os.close(fd)
                raise
            self.close()
            self.fd = fd
        _fill(self.fd, b"" if gap is None else json.dumps(gap.record(held)).encode())

    def close(self):
        os.close(self.fd)


def _locked(path, tries):
    fd = private(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        for left in reversed(range(tries)):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if left == 0:
                    raise
            time.sleep(LOCK_SECONDS)
    except OSError:
        os.close(fd)
        raise


def _fill(fd, text):
    if os.pwrite(fd, text.ljust(GAP_BYTES - 1) + b"\n", 0) != GAP_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
