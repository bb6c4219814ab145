"""A log that is told something wrong does not begin."""

import json
import os
import socket

import pytest

from trajectory_config import load


def configure(directory, **values):
    (directory / "trajectory.json").write_text(json.dumps({"file": "/logs/log.jsonl", **values}))
    return load(str(directory))


def test_the_path_names_container_and_generation(tmp_path):
    (tmp_path / "generation.json").write_text('{"generation":"abc"}')
    config = configure(tmp_path, file="/logs/{generation}-{host}/log.jsonl")
    assert (config.file, config.generation) == (f"/logs/abc-{socket.gethostname()}/log.jsonl", "abc")


def test_without_a_generation_there_is_none(tmp_path):
    config = configure(tmp_path, job="j")
    assert (config.generation, config.job, config.onLogFailure, config.compress) == (None, "j", "refuse", "none")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"onLogFailure": "ignore"}, "onLogFailure is refuse or continue"),
        ({"compress": "gzip"}, "compress is none or zstd"),
        ({"file": "/logs/log"}, "file has to end in .jsonl"),
        ({"rotateMiB": 1}, "no such key: rotateMiB"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(tmp_path, values, words):
    with pytest.raises(ValueError, match=words):
        configure(tmp_path, **values)


def test_a_directory_without_it_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(os.fspath(tmp_path))
