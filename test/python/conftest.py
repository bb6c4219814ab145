import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../assets/trajectory"))
sys.dont_write_bytecode = True

from box import Box  # noqa: E402
from trajectory_config import Config  # noqa: E402
from trajectory_store import Store  # noqa: E402


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
