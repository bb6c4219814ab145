import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, settings

for assets in ("trajectory", "guard"):
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../assets", assets))
sys.dont_write_bytecode = True

from box import Box  # noqa: E402
from trajectory_config import Config  # noqa: E402
from trajectory_store import Store  # noqa: E402

# The same examples in each run, no matter how busy the machine is.
settings.register_profile("gpubox", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
settings.load_profile("gpubox")


@pytest.fixture
def open_store(tmp_path):
    """Stores in a directory of the test's own; a short time between two fsyncs, so that no test waits for it."""
    opened = []

    def open_one(directory=tmp_path, **values):
        config = Config(**{"file": str(directory / "log.jsonl"), "syncSeconds": 0.05, "settleSeconds": 0.3, **values})
        opened.append(Store(config))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def box(tmp_path, open_store):
    return Box(tmp_path, open_store(job="eval-1", generation="g1"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 KiB; needs the right to mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=300k,nr_inodes=40", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"no right to mount: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
