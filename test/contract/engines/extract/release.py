"""Released packages: fetched once, checked by digest, and only the files that are read are kept."""

from __future__ import annotations

import fnmatch
import hashlib
import html.parser
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path


class Unreachable(Exception):
    """The registry does not answer or does not have this version."""


class Release:
    """Files of one released version by their path inside the package."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def has(self, path: str) -> bool:
        return (self.folder / path).is_file()

    def paths(self, pattern: str) -> list[str]:
        """Paths that match, `**` crossing folders, in order."""
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.glob(pattern) if p.is_file())


def release(pin: dict, keep: list[str]) -> Release:
    """The pinned version. `keep` are patterns of fnmatch, whose `*` crosses folders."""
    cache = Path(os.environ.get("GPUBOX_CONTRACT_CACHE") or Path.home() / ".cache" / "gpubox-contract")
    # Another pin or another choice of files is another folder, so that a folder that exists is complete.
    key = hashlib.sha256(json.dumps([pin, sorted(keep)], sort_keys=True).encode()).hexdigest()[:12]
    folder = cache / f"{pin['package'].replace('/', '-')}-{pin['version']}-{key}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            kept = Path(scratch) / "kept"
            {"pypi": _from_pypi, "go": _from_go}[pin["registry"]](pin, keep, kept)
            if not kept.is_dir():
                raise Unreachable(f"{pin['package']} {pin['version']} has none of the files to read")
            try:
                kept.rename(folder)
            except OSError:
                # Another run was faster.
                if not folder.is_dir():
                    raise
    return Release(folder)


def _from_pypi(pin: dict, keep: list[str], target: Path) -> None:
    archive = target.with_name(pin["file"])
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(index_files(pin["package"])[pin["file"]], timeout=180) as answer:
            with open(archive, "wb") as file:
                while block := answer.read(1 << 20):
                    digest.update(block)
                    file.write(block)
    except (KeyError, urllib.error.URLError, OSError) as error:
        raise Unreachable(f"{pin['file']}: {error!r}") from error
    if digest.hexdigest() != pin["sha256"]:
        raise SystemExit(f"{pin['file']} is not the pinned file: its SHA-256 is {digest.hexdigest()}")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if _wanted(name, keep):
                    _write(target / name, wheel.read(name))
    else:
        with tarfile.open(archive) as sdist:
            for member in sdist:
                # Paths of an sdist start with `package-version/`.
                path = member.name.partition("/")[2]
                content = sdist.extractfile(member) if member.isfile() and _wanted(path, keep) else None
                if content:
                    _write(target / path, content.read())


def _from_go(pin: dict, keep: list[str], target: Path) -> None:
    """Go's own client checks the sum against the checksum database."""
    module = f"{pin['package']}@{pin['version']}"
    try:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            cwd=target.parent,
            capture_output=True,
            timeout=600,
        )
        answer = json.loads(done.stdout or "{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise Unreachable(f"{module}: {error!r}") from error
    if not answer.get("Dir"):
        raise Unreachable(f"{module}: {answer.get('Error') or done.stderr.decode().strip()}")
    root = Path(answer["Dir"])
    for file in root.rglob("*"):
        path = str(file.relative_to(root))
        if file.is_file() and _wanted(path, keep):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / path)


def _wanted(path: str, keep: list[str]) -> bool:
    return ".." not in path.split("/") and any(fnmatch.fnmatchcase(path, pattern) for pattern in keep)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def index_files(package: str) -> dict[str, str]:
    """File name to URL, from the index that pip is configured with."""
    page = f"{_index().rstrip('/')}/{package}/"
    links = _Links()
    with urllib.request.urlopen(page, timeout=60) as answer:
        links.feed(answer.read().decode())
    return {name.strip(): urllib.parse.urljoin(page, href).partition("#")[0] for href, name in links.found}


def digest_of(pin: dict, version: str) -> dict:
    """File and digest of another version: the sdist where there is one, else a wheel that has the same Python files."""
    if pin["registry"] != "pypi":
        return {}
    stem = f"{pin['package'].replace('-', '_')}-{version}"
    files = {
        name: url
        for name, url in index_files(pin["package"]).items()
        if name.startswith((f"{stem}.tar", f"{stem}-"))
    }
    names = sorted(files, key=lambda name: (not name.endswith(".tar.gz"), "x86_64" not in name, name))
    if not names:
        raise SystemExit(f"the index has no {pin['package']} {version}")
    with urllib.request.urlopen(files[names[0]], timeout=180) as answer:
        digest = hashlib.sha256()
        while block := answer.read(1 << 20):
            digest.update(block)
    return {"file": names[0], "sha256": digest.hexdigest()}


def _index() -> str:
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    try:
        asked = subprocess.run(
            ["pip", "config", "get", "global.index-url"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return asked.stdout.decode().strip() or "https://pypi.org/simple"
    except OSError:
        return "https://pypi.org/simple"


class _Links(html.parser.HTMLParser):
    """The links of an index page (PEP 503)."""

    def __init__(self):
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.href: str | None = None

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.href = dict(attributes).get("href")

    def handle_data(self, data):
        if self.href:
            self.found.append((self.href, data))
            self.href = None
