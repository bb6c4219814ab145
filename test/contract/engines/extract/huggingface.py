"""huggingface_hub, which vLLM and SGLang load models with: its environment variables."""

from __future__ import annotations

from . import environ
from .pysource import Sources
from .release import Release

KEEP = ["src/huggingface_hub/constants.py", "src/huggingface_hub/utils/*.py"]


def extract(release: Release) -> dict:
    sources = Sources(release, "src/")
    modules = ["huggingface_hub.constants", "huggingface_hub.utils._auth"]
    return {
        "env": environ.variables(set().union(*(environ.reads(sources.need(name)) for name in modules)), {})
    }
