from __future__ import annotations

import tempfile
import unittest
import unittest.mock
from pathlib import Path

from ..release import Unreachable, index_files, release


class Registry(unittest.TestCase):
    def test_a_release_that_is_not_there_is_said_to_be_unreachable(self):
        with (
            tempfile.TemporaryDirectory() as cache,
            unittest.mock.patch.dict(
                "os.environ", {"PIP_INDEX_URL": f"file://{cache}", "GPUBOX_CONTRACT_CACHE": cache}
            ),
        ):
            (Path(cache) / "pkg").mkdir()
            with self.assertRaises(Unreachable):
                release(
                    {
                        "registry": "pypi",
                        "package": "pkg",
                        "version": "1",
                        "file": "pkg-1.tar.gz",
                        "sha256": "",
                    },
                    ["*"],
                )

    def test_another_file_than_the_pinned_one_stops_everything(self):
        with (
            tempfile.TemporaryDirectory() as folder,
            unittest.mock.patch(
                "extract.release.index_files", lambda _: {"pkg-1.tar.gz": f"file://{folder}/pkg-1.tar.gz"}
            ),
            unittest.mock.patch.dict("os.environ", {"GPUBOX_CONTRACT_CACHE": f"{folder}/cache"}),
        ):
            (Path(folder) / "pkg-1.tar.gz").write_bytes(b"other")
            with self.assertRaises(SystemExit):
                release(
                    {
                        "registry": "pypi",
                        "package": "pkg",
                        "version": "1",
                        "file": "pkg-1.tar.gz",
                        "sha256": "00",
                    },
                    ["*"],
                )

    def test_an_index_page_gives_files_by_name(self):
        page = '<a href="../../packages/pkg-1.tar.gz#sha256=00">pkg-1.tar.gz</a><br/><a href="https://x/y.whl">y.whl</a>'
        with (
            unittest.mock.patch.dict("os.environ", {"PIP_INDEX_URL": "https://index/simple"}),
            unittest.mock.patch("urllib.request.urlopen") as opened,
        ):
            opened.return_value.__enter__.return_value.read.return_value = page.encode()
            self.assertEqual(
                index_files("pkg"),
                {"pkg-1.tar.gz": "https://index/packages/pkg-1.tar.gz", "y.whl": "https://x/y.whl"},
            )
