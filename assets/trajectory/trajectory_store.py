"""Where the log's lines go: three files, and what happens while they cannot be written.

- BASE.jsonl: the lines.
- BASE.counter.jsonl: the counter: a record of each request before it is worked on, and of each answer.
- BASE.gap: what is not on disk while the disk is full, and a lock that tells that the process lives.
"""

import collections
import json
import os
import sys
import threading
import time
import uuid
from datetime import datetime

import orjson

from trajectory_file import AppendFile, zstd
from trajectory_gap import Gap, GapFile
from trajectory_time import iso

SCHEMA = 1
# Processes that may share a path, as the workers of one gateway do.
MOST_WORKERS = 64
REMIND_SECONDS = 60


def dump(record):
    return orjson.dumps(record) + b"\n"


class Store:
    """Thread-safe. Nothing of it raises while requests are served."""

    def __init__(self, config):
        self.config = config
        self.process = uuid.uuid4().hex[:12]
        self.refuses = config.onLogFailure == "refuse"
        self.gap = None
        self.written = 0
        self.lines = self.counter = None
        self._gap_file = None
        self._held = collections.deque()
        self._held_bytes = 0
        self._lock = threading.RLock()
        self._reminded = 0.0
        self._unmarked = float("-inf")
        self._stopped = threading.Event()
        if config.compress == "zstd":
            zstd()
        try:
            # No request waits yet.
            self._open(patient=True)
        except OSError as error:
            if self.refuses:
                raise
            self._fail(error)
        threading.Thread(target=self._keep, name="trajectory-sync", daemon=True).start()

    def admit(self, request_id, record):
        """Counts a request before it is worked on. The reason why it may not be worked on, else None."""
        with self._lock:
            if self._flush() and self._try("counter", dump(record)):
                return None
            if self.refuses:
                self.gap.refused += 1
                self._mark()
                return self.gap.reason
            self._hold(request_id, "counter", dump(record))
            return None

    def count(self, request_id, record):
        """A record of the counter that refuses nobody."""
        self._put(request_id, "counter", dump(record))

    def write(self, request_id, lines):
        """The lines of a request, one after the other in the file."""
        self.written += 1
        self._put(request_id, "lines", lines)

    def stop(self):
        """Says that the process ends by itself, and brings everything to the disk. May be called more than once."""
        with self._lock:
            self._put(None, "counter", dump({"kind": "stop", "process": self.process, "at": iso(time.time())}))
            if self._held:
                self.say("ERROR", f"{len(self._held)} records are lost with this process: {self.gap.reason}")
            self._sync()

    def close(self):
        """For tests."""
        self._stopped.set()
        with self._lock:
            for file in (self.lines, self.counter, self._gap_file):
                if file:
                    file.close()
            self.lines = self.counter = self._gap_file = None

    @property
    def held(self):
        return len(self._held)

    def say(self, level, message):
        """A line of the gateway's own log."""
        at = datetime.now().isoformat(timespec="milliseconds")
        print(
            json.dumps({"message": f"trajectory: {message}", "level": level, "timestamp": at}),
            file=sys.stderr,
            flush=True,
        )

    # Everything below is called with the lock.

    def _put(self, request_id, name, data):
        with self._lock:
            if not (self._flush() and self._try(name, data)):
                self._hold(request_id, name, data)

    def _try(self, name, data):
        try:
            if self.counter is None:
                self._open()
            getattr(self, name).append(data)
            return True
        except OSError as error:
            self._fail(error)
            return False

    def _flush(self):
        """What waits goes first. True when nothing waits any more."""
        while self._held:
            name, data = self._held[0]
            if not self._try(name, data):
                return False
            self._held.popleft()
            self._held_bytes -= len(data)
        if self.gap is None:
            return True
        if self._try("counter", dump(self._ended())):
            self.say("WARNING", f"the log is written again; {self.gap.refused} requests were refused, {self.gap.dropped} lines lost")
            self.gap = None
            self._mark()
            return True
        return False

    def _ended(self):
        gap = {**self.gap.record(0), "until": iso(time.time()), "requests": list(self.gap.dropped_requests)}
        return {**gap, "process": self.process}

    def _hold(self, request_id, name, data):
        if request_id:
            self.gap.requests[request_id] = None
        if self._held_bytes + len(data) > self.config.heldBytes:
            self.gap.dropped += 1
            if request_id:
                self.gap.dropped_requests[request_id] = None
        else:
            self._held.append((name, data))
            self._held_bytes += len(data)
        self._mark()

    def _fail(self, error):
        if self.gap is None:
            self.gap = Gap(error.strerror or str(error))
            self._reminded = time.monotonic()
            then = "no request is taken" if self.refuses else "requests go on"
            self.say("ERROR", f"the log cannot be written: {error}; {then} until it can")
            self._mark()

    def _mark(self):
        if self._gap_file is None:
            return
        try:
            self._gap_file.write(self.gap, len(self._held))
        except OSError as error:
            if time.monotonic() - self._unmarked > REMIND_SECONDS:
                self._unmarked = time.monotonic()
                self.say("ERROR", f"the gap cannot be recorded: {error}")

    def _open(self, patient=False):
        if self.counter:
            return
        base = self.config.file[: -len(".jsonl")]
        for number in range(1, MOST_WORKERS + 1):
            own = base if number == 1 else f"{base}-{number}"
            try:
                gap_file = GapFile(f"{own}.gap", patient)
            except BlockingIOError:
                continue
            try:
                self._begin(own, gap_file)
            except OSError:
                gap_file.close()
                raise
            # Not before: on a full disk a beginning is tried again and again.
            for file in (self.lines, self.counter):
                file.compress_closed()
            return
        raise OSError(f"{base}.jsonl is in use by {MOST_WORKERS} processes")

    def _begin(self, base, gap_file):
        before = gap_file.left()
        limits = (self.config.rotateBytes, self.config.compress)
        lines = counter = None
        try:
            lines = AppendFile(f"{base}.jsonl", *limits)
            counter = AppendFile(f"{base}.counter.jsonl", *limits)
            self._greet(counter, gap_file, before)
        except OSError:
            for file in (lines, counter):
                if file:
                    file.close()
            raise
        self._gap_file, self.lines, self.counter = gap_file, lines, counter

    def _greet(self, counter, gap_file, before):
        now = iso(time.time())
        if before:
            # The process before this one died while it could not write.
            counter.append(dump({**before, "until": now, "process": None}))
            gap_file.write(None)
        start = {"kind": "start", "schema": SCHEMA, "process": self.process, "at": now}
        origin = {"job": self.config.job, "generation": self.config.generation, "host": os.uname().nodename}
        counter.append(dump({**start, **origin}))
        # The records of a counter that takes the place of a removed one are this process' too.
        counter.head = dump({**start, **origin})

    def _sync(self):
        for name in ("lines", "counter"):
            file = getattr(self, name)
            if file is None:
                continue
            try:
                file.sync()
            except OSError as error:
                self._fail(error)

    def _keep(self):
        while not self._stopped.wait(self.config.syncSeconds):
            with self._lock:
                if self._stopped.is_set():
                    return
                if self.gap is not None:
                    self._flush()
                if self.gap is not None and time.monotonic() - self._reminded > REMIND_SECONDS:
                    self._reminded = time.monotonic()
                    waiting = f"{len(self._held)} records wait, {self.gap.dropped} are lost"
                    self.say("ERROR", f"the log still cannot be written: {self.gap.reason}; {waiting}")
                if self._gap_file is not None and self._gap_file.removed:
                    self._mark()
                files = [file for file in (self.lines, self.counter) if file and file.dirty]
            for file in files:
                self._sync_unlocked(file)

    def _sync_unlocked(self, file):
        """Outside the lock, so that no request waits for the disk; a duplicate of the descriptor outlives a rotation."""
        with self._lock:
            if file.fd < 0:
                return
            file.dirty = False
            fd = os.dup(file.fd)
        try:
            os.fsync(fd)
        except OSError as error:
            with self._lock:
                self._fail(error)
        finally:
            os.close(fd)
