#!/usr/bin/env python3
"""
Writes `<engine>.json`: what a pinned release of each engine accepts. `<engine>@<series>` is an older one that people still run.

    extract.py [--check] [ENGINE …]     --check compares with the committed files and writes nothing
    extract.py --pin ENGINE VERSION     pins another release in versions.json

Exit status: 0 all is well, 1 a committed file differs, 3 a release could not be fetched (and nothing differs).
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from extract.flags import spellings  # noqa: E402
from extract.release import Unreachable, digest_of, release  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--pin", nargs=2, metavar=("ENGINE", "VERSION"))
    parser.add_argument("engine", nargs="*")
    asked = parser.parse_args()
    pins = json.loads((HERE / "versions.json").read_text())
    if asked.pin:
        return pin(pins, *asked.pin)
    states = {engine: state(engine, pins[engine], asked.check) for engine in asked.engine or list(pins)}
    for engine, said in states.items():
        print(f"{engine}: {said}")
    if any(said.startswith("differs") for said in states.values()):
        return 1
    return 3 if any(said.startswith("unreachable") for said in states.values()) else 0


def state(engine: str, pin: dict, check: bool) -> str:
    try:
        files = outputs(engine, pin)
    except Unreachable as error:
        return f"unreachable, {error}"
    if check:
        differ = [path.name for path, text in files.items() if not path.exists() or path.read_text() != text]
        return (
            f"differs in {', '.join(differ)}: run extract.py {engine} and read the change"
            if differ
            else "same"
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return f"written from {pin['version']}"


def outputs(engine: str, pin: dict) -> dict[Path, str]:
    """Path to text of every file that an engine's release determines."""
    name, _, series = engine.partition("@")
    reader = importlib.import_module(f"extract.{name}")
    source = release(pin, reader.KEEP)
    head = {"engine": name, "version": pin["version"].lstrip("v"), "source": pin}
    contract = reader.extract(source)
    files = {HERE / f"{engine}.json": layout({**head, **contract})}
    if series:
        return files
    more = getattr(reader, "also", lambda _: {})(source)
    if getattr(reader, "SPELLS", False):
        more[f"configs/engines/flags/{engine}.json"] = {"flags": spellings(contract["flags"])}
    for path, data in more.items():
        files[HERE.parents[2] / path] = layout({"version": pin["version"], **data})
    return files


def layout(data: dict) -> str:
    """JSON with one line for each thing that a reader of a diff wants to see change."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list) and value:
            items = ",\n".join(f"    {json.dumps(item)}" for item in value)
            lines.append(f"  {json.dumps(key)}: [\n{items}\n  ]")
        elif isinstance(value, dict) and any(isinstance(inner, list) for inner in value.values()):
            items = ",\n".join(
                f"    {json.dumps(name)}: {json.dumps(inner)}" for name, inner in value.items()
            )
            lines.append(f"  {json.dumps(key)}: {{\n{items}\n  }}")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def pin(pins: dict, engine: str, version: str) -> int:
    pins[engine] = {**pins[engine], "version": version, **digest_of(pins[engine], version)}
    (HERE / "versions.json").write_text(json.dumps(pins, indent=2) + "\n")
    print(f"{engine} is pinned to {version}; run extract.py {engine} and read the change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
