"""A file that lines are appended to: whole or not at all, rotated by size, compressed when it is closed."""

import ctypes
import errno
import os
import re
import threading

# zstd's own default.
LEVEL = 3
CHUNK = 4 * 1024 * 1024


class AppendFile:
    """One process appends to it; the caller sees to that. Not thread-safe: the caller has a lock."""

    def __init__(self, path, rotate_bytes, compress="none"):
        self.path = path
        self.rotate_bytes = rotate_bytes
        self.compress = compress
        # What a file begins with that takes the place of one that somebody removed.
        self.head = b""
        self.dirty = False
        self.fd = -1
        self._open()

    def append(self, data):
        """Appends with one write. Raises OSError, and then nothing of it is in the file."""
        if self.fd < 0 or os.fstat(self.fd).st_nlink == 0:
            # It could not be opened anew; or somebody removed it, and what is written to it would be gone with the process.
            self.close()
            self._open()
        if self.size == 0 and self.head:
            self._write(self.head)
        if self.size and self.size + len(data) > self.rotate_bytes:
            self._rotate()
        self._write(data)

    def sync(self):
        if self.dirty and self.fd >= 0:
            self.dirty = False
            os.fsync(self.fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def compress_closed(self):
        """A crash may have left closed files that were to be compressed."""
        if self.compress == "zstd":
            for closed in self._closed():
                _in_background(closed)

    def _write(self, data):
        self.dirty = True
        written = os.write(self.fd, data)
        if written != len(data):
            os.ftruncate(self.fd, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def _open(self):
        self.fd = private(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
        try:
            self.size = os.fstat(self.fd).st_size
            if self.size and os.pread(self.fd, 1, self.size - 1) != b"\n":
                # A line that a crash cut in two must not take the next one with it.
                self.size += os.write(self.fd, b"\n")
        except OSError:
            self.close()
            raise

    def _rotate(self):
        self.sync()
        base = self.path[: -len(".jsonl")]
        numbers = [int(path[len(base) + 1 :].split(".")[0]) for path in self._closed(".zst")]
        closed = f"{base}.{max(numbers, default=0) + 1:06d}.jsonl"
        os.rename(self.path, closed)
        self.close()
        if self.compress == "zstd":
            _in_background(closed)
        # Where this fails, as without a free inode, the next append tries it again.
        self._open()

    def _closed(self, *also):
        directory, name = os.path.split(self.path)
        pattern = re.compile(re.escape(name[: -len(".jsonl")]) + r"\.\d{6}\.jsonl(.*)")
        found = [(name, pattern.fullmatch(name)) for name in os.listdir(directory)]
        return sorted(os.path.join(directory, name) for name, match in found if match and match[1] in ("", *also))


def private(path, flags):
    """A file and, where somebody removed it, its folder."""
    os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
    return _private(path, flags)


def _private(path, flags):
    """Never readable by everybody, not even while it is written."""
    return os.open(path, flags, 0o640)


def _in_background(path):
    threading.Thread(target=_compress_quietly, args=(path,), name="trajectory-zstd", daemon=True).start()


def _compress_quietly(path):
    try:
        compress(path)
    except OSError as error:
        # It stays as it is, which readers take as well; the next start tries again.
        print(f"trajectory: {path} is not compressed: {error}", flush=True)


def zstd():
    """libzstd, which is in every Debian. Raises OSError where it is not."""
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_int,
    ]
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return library


def compress(path):
    """Makes PATH.zst, a frame for every few MiB, and removes PATH once the other is on disk."""
    library = zstd()
    part = f"{path}.zst.part"
    try:
        with open(path, "rb") as plain, open(part, "wb", opener=_private) as packed:
            while chunk := plain.read(CHUNK):
                room = ctypes.create_string_buffer(library.ZSTD_compressBound(len(chunk)))
                size = library.ZSTD_compress(room, len(room), chunk, len(chunk), LEVEL)
                if library.ZSTD_isError(size):
                    raise OSError(errno.EIO, "zstd failed")
                packed.write(memoryview(room)[:size])
            packed.flush()
            os.fsync(packed.fileno())
    except OSError:
        if os.path.exists(part):
            os.unlink(part)
        raise
    os.rename(part, f"{path}.zst")
    os.unlink(path)
