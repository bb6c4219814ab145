"""Downloads a model's files from a hub into a directory that all backends share. Python's standard library only.

Standard input, after this text itself: a line of JSON, then, where the model needs one, a line with the token.

  {"endpoint": "https://huggingface.co", "repo": "owner/name", "revision": "<commit>", "directory": "/…/<commit>",
   "files": [{"path": "model.safetensors", "bytes": 123, "sha256": "…"}], "progressSeconds": 5}

Without a lock it has no "files" but "paths": ["model.gguf"], or "keep" and "skip", regular expressions over paths. The hub is
then asked once what it has of the revision, and that stays so for this directory.

A file has its name only when it is whole and its sha256 is the known one. What was cut is continued from `<name>.part`.
Several of these at once are safe: the second one waits for the first and finds its work done.
"""
import errno
import fcntl
import hashlib
import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

USAGE, DISK, CHECKSUM, REFUSED, MISSING, NETWORK = 2, 3, 4, 5, 6, 7

# More than the files themselves: the file system's own part, and room for whoever else writes.
DISK_MARGIN = 1.05
BLOCK = 1 << 20
# Seconds of silence on a connection that count as a cut.
SILENCE_SECONDS = 30
# Cuts in a row without a new byte. The pauses between them double from one second to 16.
TRIES = 6
# What the hub said of a revision that is not locked.
LISTING = ".hub.json"


class Failure(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(line):
    print(line, flush=True)


def size(count):
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


class Progress:
    """Prints where a download stands, at most once in so many seconds."""

    def __init__(self, total, done, every):
        self.total, self.done, self.every = total, done, every
        self.last_time, self.last_done = time.monotonic(), done

    def add(self, path, position, of, count):
        self.done += count
        now = time.monotonic()
        if now - self.last_time >= self.every:
            self.print(path, position, of, now)

    def print(self, path, position, of, now):
        speed = (self.done - self.last_done) / max(now - self.last_time, 0.001)
        left = duration((self.total - self.done) / speed) if speed > 0 else "unknown"
        percent = 100 * self.done // self.total if self.total else 100
        say(f"{path} {size(position)} of {size(of)} · all {percent} % · {speed / 1e6:.1f} MB/s · ETA {left}")
        self.last_time, self.last_done = now, self.done


class Hub:
    def __init__(self, endpoint, repo, token):
        self.endpoint, self.repo, self.token = endpoint.rstrip("/"), repo, token

    def open(self, url, missing, start=0):
        request = urllib.request.Request(url, headers={"User-Agent": "gpubox", "Accept-Encoding": "identity"})
        if start:
            request.add_header("Range", f"bytes={start}-")
        if self.token:
            # Unredirected: the hub sends to a store of somebody else, which must not see the token.
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return urllib.request.urlopen(request, timeout=SILENCE_SECONDS)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                hint = (
                    "the token of gpubox:hfToken is not accepted, or its owner has not agreed to the model's terms on its page"
                    if self.token
                    else "it is private or gated; set a token with `pulumi config set --secret gpubox:hfToken`"
                )
                raise Failure(REFUSED, f"the hub refused {self.repo} ({error.code}): {hint}") from None
            if error.code == 404:
                raise Failure(MISSING, missing) from None
            if error.code < 500 and error.code != 429:
                raise Failure(NETWORK, f"the hub answered {error.code} to {url}") from None
            raise

    def open_file(self, revision, path, missing, start):
        return self.open(f"{self.endpoint}/{self.repo}/resolve/{revision}/{urllib.parse.quote(path)}", missing, start)

    def ask(self, url):
        """The JSON of an answer, and where the next page of it is."""
        missing = f"the hub has no {self.repo}, or not this revision of it; correct the source in the stack config"
        for tries in range(1, TRIES + 1):
            try:
                with self.open(url, missing) as answer:
                    following = re.search(r'<([^>]+)>; *rel="next"', answer.headers.get("Link") or "")
                    return json.load(answer), following and following.group(1)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if tries == TRIES:
                    raise Failure(NETWORK, f"{self.endpoint} does not answer: {getattr(error, 'reason', error)}") from None
                pause(tries)

    def listing(self, revision):
        """The commit of a revision, and its files."""
        api = f"{self.endpoint}/api/models/{self.repo}"
        commit = self.ask(f"{api}/revision/{urllib.parse.quote(revision, safe='')}")[0]["sha"]
        url, files = f"{api}/tree/{commit}?recursive=true", []
        while url:
            page, url = self.ask(url)
            for entry in page:
                if entry["type"] == "file":
                    stored = entry.get("lfs") or {}
                    file = {"path": entry["path"], "bytes": stored.get("size", entry["size"])}
                    files.append({**file, "sha256": stored["oid"]} if stored else file)
        return {"commit": commit, "files": files}


def pause(tries):
    time.sleep(min(2 ** (tries - 1), 16))


class Download:
    def __init__(self, manifest, token):
        self.hub = Hub(manifest["endpoint"], manifest["repo"], token)
        self.repo, self.revision = manifest["repo"], manifest["revision"]
        self.directory = Path(manifest["directory"])
        self.manifest = manifest
        self.files = manifest.get("files")
        self.known_by = "lock file"
        self.every = manifest.get("progressSeconds", 5)

    def run(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.directory / ".lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{self.repo}: another download of it is at work; waiting")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if self.files is None:
                self.take_what_the_hub_has()
            self.fetch_missing()

    def take_what_the_hub_has(self):
        note = self.directory / LISTING
        if not note.exists():
            draft = note.with_name(f"{LISTING}.new")
            draft.write_text(json.dumps(self.hub.listing(self.revision)))
            draft.rename(note)
        known = json.loads(note.read_text())
        say(f"{self.repo}@{self.revision} is not locked: it is what the hub had when first asked, {known['commit'][:12]}")
        self.revision, self.known_by = known["commit"], "hub's list"
        self.files = [file for file in known["files"] if self.wants(file["path"])]
        there = {file["path"] for file in self.files}
        absent = [path for path in self.manifest.get("paths", []) if path not in there]
        if absent or not self.files:
            raise Failure(MISSING, f"the hub has no {', '.join(absent) or 'file of a model'} in {self.repo} at {self.revision}")

    def wants(self, path):
        if "paths" in self.manifest:
            return path in self.manifest["paths"]
        return bool(re.search(self.manifest["keep"], path)) and not re.search(self.manifest["skip"], path)

    def fetch_missing(self):
        missing = [file for file in self.files if not self.is_whole(file)]
        total = sum(file["bytes"] for file in missing)
        if not missing:
            say(f"{self.repo}: all {len(self.files)} files are here")
            return
        done = sum(min(self.part_size(file), file["bytes"]) for file in missing)
        self.check_disk(total - done)
        say(f"{self.repo}@{self.revision[:12]}: {len(missing)} files, {size(total)}, {size(done)} of it here already")
        progress = Progress(total, done, self.every)
        for file in missing:
            self.fetch(file, progress)
        say(f"{self.repo}: complete")

    def target(self, file):
        path = self.directory / file["path"]
        # The lock file is reviewed, but a path out of the directory would be a bad surprise.
        if not os.path.normpath(path).startswith(f"{self.directory}/"):
            raise Failure(USAGE, f"{file['path']} lies outside of the model's directory")
        return path

    def part(self, file):
        target = self.target(file)
        return target.with_name(target.name + ".part")

    def part_size(self, file):
        part = self.part(file)
        return part.stat().st_size if part.exists() else 0

    def is_whole(self, file):
        target = self.target(file)
        return target.exists() and target.stat().st_size == file["bytes"]

    def check_disk(self, needed):
        stat = os.statvfs(self.directory)
        free = stat.f_bavail * stat.f_frsize
        if free < needed * DISK_MARGIN:
            raise Failure(
                DISK,
                f"{self.repo} needs {size(needed * DISK_MARGIN)} on the disk of {self.directory} and {size(free)} are free; "
                "`gpubox gc` lists weights that no stack uses",
            )

    def fetch(self, file, progress):
        part = self.part(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        self.digest = hashlib.sha256()
        with open(part, "ab+") as out:
            if out.tell() > file["bytes"]:
                out.truncate(0)
            out.seek(0)
            while block := out.read(BLOCK):
                self.digest.update(block)
            tries = 0
            while out.tell() < file["bytes"]:
                before = out.tell()
                try:
                    self.append(file, out, progress)
                    cut = "the connection ended early"
                except (OSError, http.client.HTTPException) as error:
                    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                        raise Failure(DISK, f"the disk of {self.directory} is full") from None
                    cut = getattr(error, "reason", None) or error
                if out.tell() >= file["bytes"]:
                    break
                tries = 1 if out.tell() > before else tries + 1
                if tries >= TRIES:
                    raise Failure(NETWORK, f"{file['path']}: {self.hub.endpoint} gave no more after {TRIES} tries: {cut}")
                say(f"{file['path']}: cut at {size(out.tell())} ({cut}); going on")
                pause(tries)
            self.finish(file, part, out)

    def append(self, file, out, progress):
        """Adds what the hub sends to the end of the file."""
        start = out.tell()
        missing = f"the hub has no {file['path']} in {self.repo} at {self.revision}; run `gpubox models lock` again"
        with self.hub.open_file(self.revision, file["path"], missing, start) as answer:
            if start and answer.status != 206:
                # It sends the file from its beginning.
                out.truncate(0)
                self.digest = hashlib.sha256()
                progress.done -= start
            # What has come, not a whole block: on a slow line a cut would lose most of it.
            while block := answer.read1(BLOCK):
                if out.tell() + len(block) > file["bytes"]:
                    raise Failure(CHECKSUM, self.discard(file, f"is longer than the {self.known_by} says"))
                out.write(block)
                self.digest.update(block)
                progress.add(file["path"], out.tell(), file["bytes"], len(block))

    def finish(self, file, part, out):
        expected = file.get("sha256")
        found = self.digest.hexdigest()
        if expected and found != expected:
            raise Failure(CHECKSUM, self.discard(file, f"has the sha256 {found} and the {self.known_by} {expected}"))
        out.flush()
        os.fsync(out.fileno())
        os.fchmod(out.fileno(), 0o644)
        os.replace(part, self.target(file))

    def discard(self, file, why):
        self.part(file).unlink()
        return f"{file['path']} {why}; what was downloaded is removed"


def main():
    # Two lines, the second one empty without a token: Docker 20.10 can lose the end of standard input.
    line, token = sys.stdin.readline(), sys.stdin.readline()
    try:
        download = Download(json.loads(line), token.strip())
    except (ValueError, KeyError) as error:
        return fail(USAGE, f"no manifest on standard input: {error}")
    try:
        download.run()
    except Failure as failure:
        return fail(failure.code, failure)
    except OSError as error:
        return fail(DISK if error.errno == errno.ENOSPC else 1, f"{error.strerror}: {error.filename}")
    return 0


def fail(code, message):
    # Pulumi ends with a failed step's standard error.
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code


sys.exit(main())
