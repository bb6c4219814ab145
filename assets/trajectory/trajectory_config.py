"""trajectory.json: what the log is told."""

import json
import os
import socket
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Config:
    # Path of the lines; {host} and {generation} are filled in, so that each container has files of its own.
    file: str
    # `refuse`: no request is taken while the log cannot be written. `continue`: requests go on, and the gap is recorded.
    onLogFailure: str = "refuse"
    job: str | None = None
    generation: str | None = None
    # Bytes after which a file is closed and the next one begun.
    rotateBytes: int = 256 * 1024 * 1024
    # Of closed files: `none` or `zstd`.
    compress: str = "none"
    # Seconds between two fsyncs.
    syncSeconds: float = 1.0
    # Seconds that a request's line waits for what LiteLLM tells about it after the answer.
    settleSeconds: float = 10.0
    # Bytes of lines that wait in memory while they cannot be written.
    heldBytes: int = 64 * 1024 * 1024


def load(directory):
    """Reads trajectory.json of a directory. An unknown key or a wrong value is an error that stops the gateway's start."""
    with open(os.path.join(directory, "trajectory.json"), encoding="utf-8") as file:
        values = json.load(file)
    unknown = sorted(set(values) - {field.name for field in fields(Config)})
    if unknown:
        raise ValueError(f"trajectory.json: no such key: {', '.join(unknown)}")
    if values.get("onLogFailure", "refuse") not in ("refuse", "continue"):
        raise ValueError("trajectory.json: onLogFailure is refuse or continue")
    if values.get("compress", "none") not in ("none", "zstd"):
        raise ValueError("trajectory.json: compress is none or zstd")
    values.setdefault("generation", _generation(directory))
    values["file"] = values["file"].format(host=socket.gethostname(), generation=values["generation"] or "none")
    if not values["file"].endswith(".jsonl"):
        raise ValueError("trajectory.json: file has to end in .jsonl")
    return Config(**values)


def _generation(directory):
    try:
        with open(os.path.join(directory, "generation.json"), encoding="utf-8") as file:
            return json.load(file)["generation"]
    except (OSError, ValueError, KeyError):
        return None
