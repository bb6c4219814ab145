"""The parsers on small pieces of code: `python3 -m unittest discover -t . -s extract/tests`, in the folder above `extract`."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from ..pysource import Module, Sources
from ..release import Release


class Files(unittest.TestCase):
    def sources(self, **files: str) -> Sources:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in files.items():
            path = Path(folder.name) / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Sources(Release(Path(folder.name)))

    def module(self, text: str, **files: str) -> Module:
        return self.sources(it=text, **files).need("it")
